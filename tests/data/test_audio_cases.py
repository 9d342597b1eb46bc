"""Sound files that fail elsewhere: each is read as it is, or refused in words, and all loads are equal."""

import numpy as np
import pytest
import soundfile

from harken.config import SourceConfig
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
