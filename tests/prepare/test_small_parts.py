"""The small parts of preparation: clip names, rewording, choices, the SNR estimator, card tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.data.records import RecordError
from harken.data.reject_reasons import reason_kind
from harken.prepare.choices import BLANK_DROPPED, NULL_DROPPED, NUMBER_CONVERTED, REPEAT_DROPPED, clean_choices
from harken.prepare.clip_source import ClipSource, listed_source
from harken.prepare.data_card import duration_table
from harken.prepare.media_index import index_media, media_notes
from harken.prepare.rewording import reword_for_audio
from harken.prepare.snr import frame_powers, snr_db


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_000030"),
        ("-HG3Omg_89c_30", "-HG3Omg_89c_000030"),
        ("___________0_000001", None),  # 12 characters before the start
        ("____________000001", "____________000001"),
        ("a_1_2_3_4_5_000100", "a_1_2_3_4_5_000100"),
        ("-HG3Omg_89c_0000030", None),
        ("-HG3Omg_89c", None),
        ("HG3Omg_89c_000030", None),
        ("-HG3Omg_89c_00003٣", None),  # another script's digit
        ("-HG3Omg/89c_000030", None),
        ("-HG3Omg_89c_000030\n", None),
        ("", None),
    ],
)
def test_a_clip_of_a_list_is_an_id_of_eleven_characters_and_a_start(name, clip):
    source = listed_source(name)
    assert (source.names[0] if source is not None and source.starts_s else None) == clip


def test_a_clips_name_is_padded_and_reads_back():
    clip = ClipSource("youtube", "_HG3Omg_89c", (7.0,))
    assert clip.names == ("_HG3Omg_89c_000007",)
    assert listed_source(clip.names[0]) == clip


def test_files_whose_ids_look_like_words_are_found_where_a_list_names_them(tmp_path):
    (tmp_path / "speech_data_12.wav").touch()
    assert index_media(tmp_path, {"speech_data_000012"}).file_of == {
        "speech_data_000012": tmp_path / "speech_data_12.wav"
    }


def test_media_are_found_at_any_depth_and_only_wanted_ones_count(tmp_path):
    wanted, other = "AAAAAAAAAAA_000001", "BBBBBBBBBBB_000001"
    for name in ("x/AAAAAAAAAAA_1.mp4", "x/y/AAAAAAAAAAA_000001.MKV", "BBBBBBBBBBB_1.mp4", "AAAAAAAAAAA_1.json", "z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    index = index_media(tmp_path, {wanted})
    assert index.file_of == {wanted: tmp_path / "x" / "AAAAAAAAAAA_1.mp4"}
    assert (index.n_spare, index.n_other) == (1, 3)
    assert index_media(tmp_path / "gone", {other}).file_of == {}


@pytest.mark.parametrize(
    "name",
    [
        *("vAAAAAAAAAA1_30_40_out.mkv", "AAAAAAAAAA1_30.000_40.000.mp4", "[AAAAAAAAAA1]-[30-40].webm"),
        *("AAAAAAAAAA1_30000_40000.flac", "YAAAAAAAAAA1_30_40.wav", "AAAAAAAAAA1_30_trimmed.wav"),
    ],
)
def test_the_names_that_downloaders_write_are_found(name, tmp_path):
    (tmp_path / name).touch()
    clip = "AAAAAAAAAA1_000030"
    assert index_media(tmp_path, {clip}).file_of == {clip: tmp_path / name}


def test_files_whose_names_cannot_be_used_are_shown_with_the_spellings_that_are_read(tmp_path):
    for name in ("one.wav", "two.mp4", "three.mkv", "four.wav", "AAAAAAAAAA1.mp4", "notes.txt"):
        (tmp_path / name).touch()
    unread, without_start = media_notes(tmp_path, index_media(tmp_path, {"AAAAAAAAAA1_000030"}))
    assert unread.startswith(
        "4 media files have a name of no known spelling, for example four.wav, one.wav, three.mkv. "
    )
    assert "<id>_<start>" in unread
    assert without_start.startswith("1 files of wanted videos do not say where the clip begins and are not used, for ")


def test_of_several_files_of_a_clip_sound_goes_before_video_and_then_the_first_by_path(tmp_path):
    clip = "AAAAAAAAAAA_000001"
    for name in ("AAAAAAAAAAA_1.mp4", "AAAAAAAAAAA_000001.webm", "b/AAAAAAAAAAA_1.wav", "a/AAAAAAAAAAA_1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert index_media(tmp_path, {clip}).file_of == {clip: tmp_path / "a" / "AAAAAAAAAAA_1.wav"}


@pytest.mark.parametrize(
    ("text", "reworded"),
    [
        ("What happened in the video?", "What happened in the audio?"),
        ("Video, VIDEOS and vIDeos", "Audio, AUDIOS and audios"),
        ("the video's frames; Frame. FRAME", "the audio's segments; Segment. SEGMENT"),
        ("videotape, subvideo, video_1, framework, videos2", "videotape, subvideo, video_1, framework, videos2"),
        ("no such word", "no such word"),
        ("This is a video of what?", "This is an audio of what?"),
        ("Is this A VIDEO or a frame?", "Is this AN AUDIO or a segment?"),
        ('Is this a  video or a "video"?', 'Is this an  audio or an "audio"?'),
        ("The video players and video-games in these videos", "The video players and video-games in these audios"),
        ("What is on the video cassettes and video walls?", "What is on the video cassettes and video walls?"),
        ("Are they watching a video in the video?", "Are they watching a video in the audio?"),
        ("How many videos are on the screen in this video?", "How many videos are on the screen in this audio?"),
        ("How many video frames are loud?", "How many audio segments are loud?"),
        ("Is the bike's frame hit in the video's frames?", "Is the bike's frame hit in the audio's segments?"),
        ("What is his frame of mind in that frame?", "What is his frame of mind in that segment?"),
        ("What is seen in the picture of the scene?", "What is seen in the picture of the scene?"),
        ("Who plays the video game in the video?", "Who plays the video game in the audio?"),
        ("Is it a music video or a video camera?", "Is it a music video or a video camera?"),
        ("Which picture frame falls in this frame?", "Which picture frame falls in this segment?"),
        ("Is a frame drum heard in the video clip?", "Is a frame drum heard in the audio clip?"),
    ],
)
def test_words_about_pictures_become_words_about_sound_as_whole_words(text, reworded):
    assert reword_for_audio(text) == reworded


@pytest.mark.parametrize(
    ("choices", "answer", "cleaned", "right", "mended"),
    [
        (["a", "b"], 1, ("a", "b"), 1, set()),
        ([" a ", "b"], 0, ("a", "b"), 0, set()),
        ([None, "a", "b"], 2, ("a", "b"), 1, {NULL_DROPPED}),
        (["", "a", "b"], 2, ("a", "b"), 1, {BLANK_DROPPED}),
        ([3, 2.5, "3"], 2, ("3", "2.5"), 0, {NUMBER_CONVERTED, REPEAT_DROPPED}),
        (["a", "A", "b"], 1, ("a", "b"), 0, {REPEAT_DROPPED}),
        (["b", "a  x", "a X", "c"], 3, ("b", "a  x", "c"), 2, {REPEAT_DROPPED}),
        (["b", "A  x"], 1, ("b", "A  x"), 1, set()),
        (["None", "a"], 0, ("None", "a"), 0, set()),  # a text, whoever wrote it
    ],
)
def test_choices_are_mended_without_losing_the_right_one(choices, answer, cleaned, right, mended):
    assert clean_choices(choices, answer, "multi_choice") == (cleaned, right, mended)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), st.lists, max_leaves=6
)


@given(value=json_values, answer=json_values)
def test_whatever_the_choices_are_they_are_usable_or_a_reason(value, answer):
    try:
        choices, right, _ = clean_choices(value, answer, "multi_choice")
    except RecordError:
        return
    assert len(choices) >= 2
    assert all(choice.strip() for choice in choices)
    assert choices[right].casefold().split() == str(value[answer]).casefold().split()


def samples(signal):
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


def test_the_snr_of_bursts_in_noise_is_their_power_over_the_noise():
    # Noise of power 100^2 all along, a tone of power 2 * (1000^2 / 2) during half the clip: 10 log10(0.5e6 / 1e4) = 17.
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 100, 160_000)
    bursts = 1000 * np.sqrt(2) * np.sin(np.arange(160_000)) * (np.arange(160_000) // 8_000 % 2)
    # The 10th percentile lies a little below the noise's mean power: frames of 400 samples spread by 7 %.
    assert snr_db(frame_powers(samples(noise + bursts))) == pytest.approx(10 * np.log10(0.5e6 / 1e4), abs=0.5)


def test_the_snr_does_not_depend_on_level_and_falls_with_noise():
    rng = np.random.default_rng(0)
    clip = rng.normal(0, 50, 32_000) + 3000 * np.sin(np.arange(32_000) / 3) * (np.arange(32_000) > 16_000)
    assert snr_db(frame_powers(samples(2 * clip))) == pytest.approx(snr_db(frame_powers(samples(clip))), abs=0.05)
    louder = clip + rng.normal(0, 500, 32_000)
    assert snr_db(frame_powers(samples(louder))) < snr_db(frame_powers(samples(clip))) - 15


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (np.zeros(4_000), 0.0),
        (np.full(4_000, 1000.0), 10 * np.log10((1 / 12) / 1e6)),  # steady: nothing stands out
        (np.concatenate([np.zeros(2_000), np.full(2_000, 1000.0)]), 10 * np.log10((0.5e6 - 1 / 12) * 12)),
        (np.full(10, 5.0), 10 * np.log10((1 / 12) / 25)),  # shorter than a frame
    ],
)
def test_the_snr_of_silence_steady_and_gated_sound_is_as_worked_by_hand(clip, expected):
    assert snr_db(frame_powers(samples(clip))) == pytest.approx(expected)


def test_reasons_are_counted_without_the_values_they_name():
    assert reason_kind("answer out of range: 7 of 4 choices") == "answer out of range"
    assert reason_kind("clip cannot be decoded (Invalid data); fetch the file again (/x)") == "clip cannot be decoded"
    assert reason_kind("clip holds no sound; leave it") == "clip holds no sound"


def test_the_histogram_counts_every_clip_once():
    rows = duration_table("x", [0.0, 0.99, 1.0, 9.99, 10.0, 301.0, 5e4]).rows
    assert rows == [("0 to 1 s", "2"), ("1 to 2 s", "1"), ("9.9 to 10.1 s", "2"), ("300 s and more", "2")]
