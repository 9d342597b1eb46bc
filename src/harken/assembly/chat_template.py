"""Puts audio places in front of a language model's own chat template, so that its turns stay as it was taught them."""

from harken.assembly.language_part import AUDIO_TOKENS

AUDIO_TOKEN, AUDIO_BOS, AUDIO_EOS = AUDIO_TOKENS

_TURNS_AS_TEXT = (
    "{%- set audio = namespace(clips=0, turns=[]) -%}"
    "{%- for message in messages -%}"
    "{%- if message['content'] is string or message['content'] is none or message['content'] is not defined -%}"
    "{%- set audio.turns = audio.turns + [message] -%}"
    "{%- else -%}"
    "{%- set turn = namespace(text='') -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'audio' or 'audio' in part or 'audio_url' in part -%}"
    "{%- set audio.clips = audio.clips + 1 -%}"
    "{%- set turn.text = turn.text ~ 'Audio ' ~ audio.clips ~ ': BOSPLACEEOS\\n' -%}"
    "{%- elif 'text' in part -%}"
    "{%- set turn.text = turn.text ~ part['text'] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set audio.turns = audio.turns + [dict(message, content=turn.text)] -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- set messages = audio.turns %}"
)


def with_audio_places(template: str) -> str:
    """A chat template that takes the elements of Qwen2-Audio's turns (text and audio) and renders what `template`
    renders for the text in which each clip is written `Audio N: <|audio_bos|><|AUDIO|><|audio_eos|>`, as Qwen2-Audio
    writes it."""
    own = {"BOS": AUDIO_BOS, "PLACE": AUDIO_TOKEN, "EOS": AUDIO_EOS}
    prefix = _TURNS_AS_TEXT.replace("BOSPLACEEOS", "".join(own.values()))
    return prefix + template.lstrip()
