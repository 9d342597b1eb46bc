"""Sound files that fail elsewhere: each is read as it is, or refused in words, and all loads are equal."""

import numpy as np
import pytest
import soundfile
from sound_matrix import SOUNDS, write_sound

from harken.config import SourceConfig
from harken.data import audio_decoders
from harken.data.audio import check_audio, load_waveform, resampled_length
from harken.data.clip_account import ClipAccount
from harken.data.load import load_sources
from harken.data.manifest import read_manifest
from harken.errors import AudioError


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("riff0.wav", 2), ("ffmpeg_pipe.flac", 10), ("joined.mp3", 20), ("gsm.wav", 2), ("stereo_antiphase.wav", 2)],
)
def test_a_file_of_the_cases_is_read_whole(shared, name, seconds):
    path = shared / "cases" / "audio" / name
    loads = [load_waveform(path) for _ in range(5)]
    assert len(loads[0]) == check_audio(path).n_samples == 16_000 * seconds
    assert all(np.array_equal(loads[0], load) for load in loads)
    assert check_audio(path).cancelled == (name == "stereo_antiphase.wav")


@pytest.mark.parametrize(
    ("name", "there", "stated"),
    [("hole.mp3", 9.471, 10), ("cut50_8s.mp3", 3.855, 8), ("cut_half.wav", 1, 2)],
)
def test_a_cut_file_of_the_cases_is_refused_with_both_lengths_or_used_as_far_as_it_decodes(shared, name, there, stated):
    path = shared / "cases" / "audio" / name
    for read in (load_waveform, check_audio):
        with pytest.raises(AudioError, match=f"is cut short or damaged: {there:.3f} s of the stated {stated:.3f} s"):
            read(path)
    loads = [load_waveform(path, truncated="accept") for _ in range(5)]
    assert all(np.array_equal(loads[0], load) for load in loads)
    assert len(loads[0]) / 16_000 == pytest.approx(there, abs=5e-4)
    assert check_audio(path, truncated="accept").cut.startswith("is cut short or damaged")


def test_the_samples_in_front_of_a_hole_are_those_of_the_whole_and_none_is_made_up(shared):
    waveform = load_waveform(shared / "cases" / "audio" / "hole.mp3", truncated="accept")
    assert np.abs(waveform).max() < 1
    assert np.isfinite(waveform).all()


@pytest.mark.parametrize("rate_hz", [4_000, 11_025, 22_050, 32_000, 44_100, 96_000, 768_000])
def test_the_length_after_resampling_is_known_before_it(tmp_path, rate_hz):
    for n_frames in (1, 2, 3, 999, 2 * rate_hz // 50 + 1, rate_hz // 7):
        soundfile.write(tmp_path / "a.wav", np.full(n_frames, 0.1), rate_hz)
        length = len(load_waveform(tmp_path / "a.wav"))
        assert length == check_audio(tmp_path / "a.wav").n_samples == resampled_length(n_frames, rate_hz)


def test_a_clip_one_frame_over_the_window_is_one_sample_over_it(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(960_001), 32_000)
    facts = check_audio(tmp_path / "a.flac")
    assert facts.n_samples == len(load_waveform(tmp_path / "a.flac")) == 480_001
    assert round(facts.duration_s * 16_000) == 480_001


def test_a_cut_clip_is_rejected_or_used_and_counted_as_the_source_says(tmp_path, shared):
    for name in ("cut_half.wav", "stereo_antiphase.wav"):
        (tmp_path / name).write_bytes((shared / "cases" / "audio" / name).read_bytes())
    soundfile.write(tmp_path / "loud.wav", np.full(1600, 1.5), 16_000, subtype="FLOAT")
    names = ["cut_half.wav", "stereo_antiphase.wav", "loud.wav"]
    record = '{{"id": "{0}", "text": "Which?", "choices": ["x", "y"], "answer": 0, "audio": "{0}"}}\n'
    (tmp_path / "m.jsonl").write_text("".join(record.format(name) for name in names))

    def loaded(truncated):
        source = SourceConfig(reader="manifest", file=tmp_path / "m.jsonl", truncated=truncated)
        return load_sources([source], lambda name: read_manifest, need_answer=True)

    refused = loaded("refuse")
    assert [question.id for question in refused.questions] == names[1:]
    assert "is cut short or damaged: 1.000 s of the stated 2.000 s decode" in refused.rejected[0].reason
    assert refused.clips == ClipAccount(n=2, cut=0, beyond_full_scale=1, cancelled=1, mixed=1)
    accepted = loaded("accept")
    assert [question.id for question in accepted.questions] == names
    assert accepted.clips == ClipAccount(n=3, cut=1, beyond_full_scale=1, cancelled=1, mixed=1)
    assert accepted.clips.sentences() == [
        "1 of 3 clips are cut short or damaged, and used as far as they decode (`truncated: accept`)",
        "1 of 3 clips are louder than full scale in places; these samples are clipped",
        "1 of 3 clips are silent after mixing, because their channels cancel each other out",
    ]


@pytest.mark.parametrize("name", ["m4a-aac", "webm-opus", "mp3-cbr", "ogg-vorbis", "pipe-flac", "joined"])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.25, 0.75), (1.0, None), (0.0, 0.5)])
def test_a_part_of_any_format_is_what_cutting_the_whole_gives(tmp_path, name, start_s, end_s):
    path = write_sound(tmp_path / "a", "mp3-vbr" if name == "joined" else name)
    if name == "joined":
        path.write_bytes(2 * path.read_bytes())
    whole, part = load_waveform(path), load_waveform(path, start_s, end_s)
    end = None if end_s is None else round(16_000 * end_s)
    assert len(part) == check_audio(path, start_s, end_s).n_samples
    edge = 1600 if name == "webm-opus" else 0  # resampled from 48 kHz, which reaches beyond the cut
    expected = whole[round(16_000 * start_s) : end]
    assert len(part) == len(expected)
    assert np.abs(part - expected)[edge : len(part) - edge].max() < 1e-5


@pytest.mark.parametrize("name", ["m4a-aac", "mp3-cbr", "flac-16", "pipe-wav"])
def test_a_part_beyond_the_end_of_any_format_is_refused(tmp_path, name):
    path = write_sound(tmp_path / "a", name)
    for part in ((3.0, None), (1.0, 2.5), (5.0, 6.0)):
        with pytest.raises(AudioError, match="is not in the file, which lasts 2"):
            load_waveform(path, *part)


def test_a_file_that_decodes_to_hours_ends_after_the_longest_sound(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.zeros((480_000, 2), np.int16), 16_000)
    assert (tmp_path / "a.flac").stat().st_size < 5000
    for name, value in (("LONGEST_S", 20), ("MOST_VALUES", 600_000)):
        monkeypatch.setattr(audio_decoders, name, value)
        with pytest.raises(AudioError, match="cut it, or name a part with start_s and end_s"):
            load_waveform(tmp_path / "a.flac")
        assert len(load_waveform(tmp_path / "a.flac", 1.0, 2.0)) == 16_000
        monkeypatch.undo()


def test_a_file_made_of_beginnings_is_refused_at_once(tmp_path):
    content = write_sound(tmp_path / "a", "mp3-cbr").read_bytes()
    (tmp_path / "a").write_bytes(content[: content.index(b"Info") + 500] * 1500)
    with pytest.raises(AudioError, match="more than 1000 files joined"):
        load_waveform(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(1 << 24))
    with pytest.raises(AudioError, match="holds no samples"):
        load_waveform(tmp_path / "a")


def test_a_name_does_not_say_what_a_file_is(tmp_path):
    for name in ("a.raw", "a.mp3", "a", "a.gsm", "a.vox"):
        soundfile.write(tmp_path / name, np.full(1600, 0.5), 16_000, format="WAV")
        assert load_waveform(tmp_path / name).tolist() == [0.5] * 1600


@pytest.mark.slow
def test_no_damage_gives_anything_but_equal_loads_or_a_refusal(tmp_path):
    random = np.random.default_rng(0)
    for name in SOUNDS:
        content = write_sound(tmp_path / "whole", name).read_bytes()
        for _ in range(60):
            changed = bytearray(content)
            for _ in range(int(random.choice((1, 3, 20)))):
                place = int(random.integers(min(len(changed), int(random.choice((64, 400, len(changed)))))))
                length = int(random.choice((1, 4, 300)))
                changed[place : place + length] = random.bytes(int(random.choice((0, length))))
            (tmp_path / "a").write_bytes(changed)
            for truncated in ("refuse", "accept"):
                try:
                    waveform = load_waveform(tmp_path / "a", truncated=truncated)
                except AudioError:
                    continue
                assert np.abs(waveform).max() <= 1
                assert np.array_equal(waveform, load_waveform(tmp_path / "a", truncated=truncated))
                assert check_audio(tmp_path / "a", truncated=truncated).n_samples == len(waveform)
