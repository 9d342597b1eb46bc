"""MMAU: 10,000 questions about sound, music and speech, of which test-mini (1,000) shows its answers.

Test-mini has two versions, the original of 2024 and v05.15.25. They share 894 ids and differ in what they ask, so a
score on one says nothing about the other. Records tell which version a file is; file names do not count.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from harken.benchmarks.base import Benchmark, OfficialPrompt
from harken.benchmarks.word_match import word_rule
from harken.data.record_fields import answer_index, choices_field, clip_path, label_field, text_field
from harken.data.records import Record
from harken.types import Question


def parse_mmau(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_id, question, choices, answer (text), task, category, sub-category, difficulty and
    dataset as a Question; further keys are ignored.

    Data sets in MMAU's form may say audio_path for audio_id and modality for task. A record without `answer`
    (test-full) has answer None; one without a clip name is a text-only question. Choices are stripped and otherwise
    left alone: v05.15.25 has 27 questions with repeated choices, and leaving them out would change the benchmark.
    Raises RecordError with the reason, which names the value.
    """
    choices = choices_field(record)
    clip = record.get("audio_path", record.get("audio_id"))
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=_answer_index(record, choices),
        audio=None if clip is None else clip_path(clip, audio_root),
        task=label_field(record, "task", "modality"),
        difficulty=label_field(record, "difficulty"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "sub-category"),
        dataset=label_field(record, "dataset"),
        source=source,
    )


def _answer_index(record: Record, choices: tuple[str, ...]) -> int | None:
    return None if record.get("answer") is None else answer_index(text_field(record, "answer"), choices)


def versions_of(identifier: str, choices: Sequence[str] | None) -> set[str]:
    """The version that alone has this id, or this id with these choices; empty where both versions have the record.

    In each version 106 records can be told by their id and 164 more by their choices. Spaces at the edges of choices
    do not count.
    """
    marks = {_mark(identifier)}
    if choices is not None:
        marks.add(_mark(identifier, [choice.strip() for choice in choices]))
    return {version for version, known in _MARKS.items() if not marks.isdisjoint(known)}


def submission(record: Record, prediction: str) -> Record:
    """The published record with the prediction under the key that the script reads and under the one that the
    submission page asks for."""
    return {**record, "model_output": prediction, "model_prediction": prediction}


def _mark(*parts: str | list[str]) -> str:
    """40 bits of a hash, as 10 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:10]


def _marks(digits: str) -> frozenset[str]:
    return frozenset(digits[start : start + 10] for start in range(0, len(digits), 10))


_MARKS: dict[str, frozenset[str]] = {
    "original": _marks(
        "0005ee59e9002660718a0119d01db001eabe7d2c03787bef8403aaa2228603fcf3f763051b092247059de38c5505fbf19cd9"
        "08b48e4f0309ba9412ac0c59f821130c8a800e470e888539e20f050377e711acff495611f63c009b125f303a831389854664"
        "1410023be21423d88bad14cd1aa2191523b12e831717c304dc19002a2e43195972cdba1989441bce1a6582cd091a8128005c"
        "1ad2c637eb1baf155d06202d26852b20d2bf714721704703c8218eff329321a9fb673c2330ed1db52393e2d7ac24ae84bea6"
        "24ead95bee261b5dd30d2641849bcb281558f91f282783b7d729b3903f152a7142cdfe2ead6cfa0131e46717c233f6fd57e3"
        "365cae595236877e6cd637291a7c7138b76e05a139cd2d3de63a2b5a87ce3bdab6e92a3db1383ddf3ed177a07b3f69b9e3be"
        "3f9fdd35a8409959f894429de940f243798d56c844e1e7670a454218b23046953b69e34830bebd8a4895d0733c4b2221e5eb"
        "4b95c8f7ef4bb358fcda4bb88747614bdda270564c9318e1674d6d5678c24d7360ad014d9034fe1d4f11b827fb513739966f"
        "5366c55c2153d5e34808546dc089745699b155ab56cc6d285d592b6ec97e59cadf9c3b59de3654425b0cb5671e5baa74e357"
        "5c1ed1cfb35c9e5814ab5dc372d10a5e1b98eb605eaf4443c65ed201ebca5ee472120b604484b9b760621b6c3362d698d30d"
        "633af3bd59641ac2294965cf6adf31679f53954c686f3a7bf6688664602569739960786989396af86a14ec2d476a9d6854d5"
        "6b1bdab1e36d8c3f600d6e4d6477b96fdf88a6806fe8c52f2e704371303470b01a447573282be34f734ef2533e74211bd15b"
        "74e8c280fd75d7ce63b276cbcf86e8783c8cbaf0789247ae1f79aac478b07b69d7a6847b83230f217c0ee334ae7c168cadd3"
        "7ccfc1c2a67d03bdc2bc7d32242f0d7dd580aa037ed38840ea7ee4aacd357fda6a77348262063f23837a9cb15985d7ee55a4"
        "862d59696886698050c7898c00bafa89e5477e7b8d8484e43f90514851fc90fab888ed91213caabb928c845e14943c825922"
        "94f64e840995d3145b9e95ddede79396814629c6969eb313a797c811924299897e0d289cb8d77bc59daa4ac89a9ea2fec1a4"
        "9f1e79c3e29f3883a9289f813eee14a032dc2d0da110943a30a25c01b60da27e492a8ba2aa968baea50601bd2aa5d2c1617f"
        "a605624b16a8d2aeab4da8f733f980a94294365fa9cb82cfdcaab941780bab57b23c69ab8c0d421cad14e9e27cadb35fef4b"
        "aeb70aaa59af9b4f2e54b2fbd996feb317b17e52b4afa49910b5a5070be1b65a5a024bb68331c4a7b7693f7606b7fd16a88b"
        "b9944d4ad2b9a5657e82ba62dabcafbab30d503abb91bca62bbc1416ac7ebd99b5a5c8bdeccad42cbe311bca12be48ea711b"
        "beddb6f06dbf452028e4c01158d347c090deba3ac3fa744225c47cdb8f48c549068887c60a749614c69f82c496c878783bd6"
        "cb99ee9480cbdc4b2d27cd17c31263ce0fbcf194d047a6838bd0673fa05bd1d37153c7d22067f89bd27bd3f076d2c466ba9b"
        "d4c6f64074d4e21abd1cd5b3731c56d5fc0ee25ed6dda7476ed72c5b3358d779df5ec2d7808db7e9d7a22d757ed883565ead"
        "d8907acb52dbfc259978dd9dce5ce6de433073aede5f9c41a5e2689ccd42e307f60358e321a9b032e3646e5c4de3be3c4458"
        "e447553713e47fa17f30e78db78298e7e29b033ae8c65a4cc4e8e345bcb6ea5ef9bea5eb981bfe98ec8c87d54fed32e4ecde"
        "ee120357a3ef07e23cd2f0f83109a8f1673eefa4f198c62779f41efa8f42f4d08bff7df6b69e27e2f6bc964d3af75147c04a"
        "f754da91a5f763e46689f78b1828ebf859741b6bf8a6009333fc8605e82efd17e19631fd56b6ec17ff6c474521ffac053c3e"
    ),
    "v05.15.25": _marks(
        "00fa80e3650150412f0d022f2c658b02e2ac995202ffb8bdb70346dd4fc40459910124052f9dcb88057ba40b38069fd03509"
        "08b5295ee0094241685e0a0e3318bb0befbc41700c162d7f1e0c6e65b6860d0fa039870d770904e70d83180aa90dabafd1b4"
        "0e0118c64c11b3c4239814cb8cecdf15087afbd515f640369618f8248fa31bc840c1ff1d91e87ed21e32cab8d31e6882a0c3"
        "1f7e2ea3c61fb04e0c2d214351e740226d75566124319635bd25199fda48255fb006a7256fb93e5e2574b1756525e51f0188"
        "26c48021b626eccf4bea283e9c4ffb28b970e1b029001fb4242a314e29f32b4576e0a52cc61669182d1105adc42db4de498c"
        "2f3a3acb002fe2577e4d3113f106cb31b8ae91043381d03f16364271282c368d60b8903751feb4373795c89fa037d1a3048c"
        "395b5e6d30398347606e39e6a252b23a4409964f3ae07ad1973b1a5f64e63bd03b02303c7267eef83da1d2541a3e6196862d"
        "40704c4c4840c8d529064131deaa884241f5f17543cf0d16ef43e15a6b74444831422e45202b0cb245b2d6543d46678bfdb1"
        "471f49f2e447d262e9bc4afb133e1d4bcdaf47fb4c6718f1534d04abc6924f3e0837475293fb39495368fb1f2e5378953756"
        "53d10e7dea553f6c28af574b823bf157ab31842057f437b4b1591a7cc3f059c073dbb05ad7e788745b653436fe5c93b4c731"
        "5d787f3cd35e7c46dc955f1052da8e603d49b30b613844ca2061a43a6381629e37156963dc01e8f764a3c2ac806506274c5a"
        "655cc4681065c917206566ba7c5893674e25bd1d675728018b68f491443169e66385376efea7bd8d703c0b2fb870bb85ab23"
        "70cb1d96c770cd92efe5740394992e776191f93877a65bcdb37828b28e67786ba2cf8a79bf8024977a9adac35f7b9d702a94"
        "7c278fffef7df6034dc37f6a11457480f96525d181061af7368108e6d6bc8195e27a998239144d2d832960fb8584663b6312"
        "85882c0619869b25646f894acdfc678a54c8f2058a58ee89bf8ba1d8ad578bdb6a926b8e308c1a358fc37ed8e79100a2230e"
        "91854b491d95740121e69673ffb86598464842419b1db1be399d096d71769e181222499edd80ceac9fac5b3800a1b86b26ef"
        "a46d95e4cca4a015b3c0a4e0216d4da65dd4f4fda7dd7f6e5fa7f9d3b513a92743c24ea92b2e585ba9773a3cc6a9c1bda56a"
        "a9ce206b4dab27ac2220ab8dbba0a5aba5035d47ac83a24939ad64916ee0adc014de77aded774b2aae6d9ef208ae6ed42289"
        "af146ce3ebafc959e3d1b0e303649db0eeb6f30fb17bb6b452b351d8785eb4f856b6dfb59b9e0965b5fdcef614b6de03cc18"
        "b6dec13019b72e741956b734e92e69b739639f81b843ee7be6b86d555885b945508688b9bcb35e67bad3dfaa91bb72e8f826"
        "bb8e1110a9bc19945a6ebd97a0d4d2bf7205e6a2bf83b633d9c15c7c676ac266d195d0c343777104c38a409475c3bf475722"
        "c6af8a4616c737aa5cfdc764361a5ec7f52daa19c91007feeacac4e2e8cacad6817be5ccbb514a84ccf6dd686ccd5289b06d"
        "d07a9bbae6d1b4574289d2ab789e41d2d836a235d2dd3d2b06d3dab6ed7ad53d009b92d65f304365d74d28b171d7c52a6e3e"
        "d9690bd9b9dae921896bdb2ec220afdbeeafa08adc1ea12d39e0ea8dfe01e31333e5efe529e2461ee552a9feafe70ee7aaf2"
        "e912cca769e9181141f2e934da462de9f87d5400eb7b3f65c4ebd1d5b719ec240ba5b0ed245eda60ed419e3ce5ef90d16bf4"
        "f0bbdcd640f141c03d9df1a350a6eff1f90b0a59f26fe9af4cf57b90dd72f5a46c729ff68bea4568f747e49b6ef7f077c36c"
        "f8eb907977f91285f508faf9d50f4ffb0645fd75fc66eaaee4fce44addd8fd9814692ffed7813d8bff3204bab9ffe9ab9fd2"
    ),
}
"""Version -> the marks of the records that only this version has."""

MMAU = Benchmark(
    name="mmau",
    title="MMAU",
    url="https://github.com/Sakshi113/MMAU",
    licence="Apache-2.0",
    parse=parse_mmau,
    part="test-mini",
    official_rule=word_rule,
    versions_of=versions_of,
    prediction_keys=("model_output", "model_prediction"),  # the script's and the submission page's
    submission=submission,
    # The prompt stands in github.com/Sakshi113/MMAU, issue 3; the line feed before the question is left out.
    prompt=OfficialPrompt("{question}  Select one option from the provided choices.\n{choices}."),
)
