"""Python code for the model card that loads an exported folder with transformers alone, without harken.

The tests run this code. It does not use the own processors of the Omni models, whose video part needs torchvision, and
of Voxtral, which needs mistral-common.
"""

from harken.errors import CheckpointError

_PROCESSOR = """\
import soundfile
import torch
{peft}from transformers import AutoProcessor, {model}

folder = {folder}
processor = AutoProcessor.from_pretrained({base})
model = {model}.from_pretrained({base}, dtype="auto").eval()
{adapter}samples, rate = soundfile.read("clip.wav", dtype="float32")  # mono, 16 kHz
conversation = [{system}{{"role": "user", "content": [{{"type": "audio"}}, {{"type": "text", "text": {question}}}]}}]
text = processor.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
inputs = processor(text=text, audio=[samples], return_tensors="pt")
with torch.no_grad():
    output = model.generate(**inputs, max_new_tokens={length}, do_sample=False)
print(processor.tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""

_OMNI = """\
import soundfile
import torch
{peft}from transformers import AutoTokenizer, {model}, WhisperFeatureExtractor

folder = {folder}
tokenizer = AutoTokenizer.from_pretrained({base})
extractor = WhisperFeatureExtractor.from_pretrained({base})
model = {model}.from_pretrained({base}, dtype="auto"){thinker}.eval()
{adapter}samples, rate = soundfile.read("clip.wav", dtype="float32")  # mono, 16 kHz
features = extractor(samples, sampling_rate=16000, {padding}return_attention_mask=True, return_tensors="pt")
n_frames = int(features["attention_mask"].sum())  # frames of 10 ms
n_audio_tokens = {tokens}
conversation = [{system}{{"role": "user", "content": [{{"type": "audio"}}, {{"type": "text", "text": {question}}}]}}]
text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
text = text.replace("{placeholder}", "{placeholder}" * n_audio_tokens)
inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
with torch.no_grad():
    output = model.generate(
        **inputs,
        input_features=features["input_features"].to(model.dtype),
        feature_attention_mask=features["attention_mask"],
        max_new_tokens={length},
        do_sample=False,
    )
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""

_QWEN2_5 = {"padding": "", "tokens": "((n_frames - 1) // 2 + 1 - 2) // 2 + 1", "placeholder": "<|AUDIO|>"}
_QWEN3 = {
    "padding": "padding=True, truncation=False, ",
    "tokens": "n_frames // 100 * 13 + (n_frames % 100 + 7) // 8",
    "placeholder": "<|audio_pad|>",
}
"""What differs between the two Omni models."""

_VOXTRAL = """\
import soundfile
import torch
{peft}from transformers import TokenizersBackend, {model}, WhisperFeatureExtractor

folder = {folder}
tokenizer = TokenizersBackend.from_pretrained({base})
extractor = WhisperFeatureExtractor.from_pretrained({base})
model = {model}.from_pretrained({base}, dtype="auto").eval()
{adapter}samples, rate = soundfile.read("clip.wav", dtype="float32")  # mono, 16 kHz
whole = extractor.n_samples  # a window, which silence fills
features = extractor(
    samples, sampling_rate=16000, padding=True, truncation=False, pad_to_multiple_of=whole, return_tensors="pt"
)["input_features"][0]
windows = features.unflatten(1, (-1, extractor.nb_max_frames)).transpose(0, 1)
n_audio_tokens = len(windows) * extractor.nb_max_frames // 8  # of 80 ms
text = "<s>[INST][BEGIN_AUDIO]" + "[AUDIO]" * n_audio_tokens + {question} + "[/INST]"
inputs = tokenizer(text, add_special_tokens=False, return_token_type_ids=False, return_tensors="pt")
with torch.no_grad():
    output = model.generate(
        **inputs, input_features=windows.to(model.dtype), max_new_tokens={length}, do_sample=False
    )
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""
_SYSTEM = '{{"role": "system", "content": [{{"type": "text", "text": {text}}}]}}, '

_BY_TYPE: dict[str, tuple[str, str]] = {
    "qwen2_audio": (_PROCESSOR, "Qwen2AudioForConditionalGeneration"),
    "audioflamingo3": (_PROCESSOR, "AudioFlamingo3ForConditionalGeneration"),
    "musicflamingo": (_PROCESSOR, "MusicFlamingoForConditionalGeneration"),
    "voxtral": (_VOXTRAL, "VoxtralForConditionalGeneration"),
    "qwen2_5_omni_thinker": (_OMNI, "Qwen2_5OmniThinkerForConditionalGeneration"),
    "qwen2_5_omni": (_OMNI, "Qwen2_5OmniForConditionalGeneration"),
    "qwen3_omni_moe_thinker": (_OMNI, "Qwen3OmniMoeThinkerForConditionalGeneration"),
    "qwen3_omni_moe": (_OMNI, "Qwen3OmniMoeForConditionalGeneration"),
}


def has_snippet(model_type: str) -> bool:
    """Whether harken has lines for the architecture; it has none for one of the user's own."""
    return model_type in _BY_TYPE


def load_snippet(
    model_type: str, folder: str, question: str, length: int, adapter_of: str | None = None, system: str | None = None
) -> str:
    """Python code that answers one question about clip.wav.

    Args:
        model_type: the architecture, as the checkpoint's config.json names it.
        folder: the exported folder, or its Hub id.
        question: the whole text of the user's turn, with the choices.
        length: tokens of the completion at most.
        adapter_of: folder or Hub id of the base where `folder` holds an adapter, else None.
        system: the text of the system turn, if the prompt has one.

    Raises CheckpointError for an architecture that harken does not know.
    """
    if model_type not in _BY_TYPE:
        raise CheckpointError(f"{model_type!r} is not an architecture that harken knows: {', '.join(_BY_TYPE)}")
    template, model = _BY_TYPE[model_type]
    is_adapter = adapter_of is not None
    return template.format(
        peft="from peft import PeftModel\n" if is_adapter else "",
        model=model,
        folder=ascii(folder),
        base=ascii(adapter_of) if is_adapter else "folder",
        thinker=".thinker" if model_type in ("qwen2_5_omni", "qwen3_omni_moe") else "",
        **(_QWEN3 if model_type.startswith("qwen3_omni_moe") else _QWEN2_5),
        adapter="model = PeftModel.from_pretrained(model, folder).eval()\n" if is_adapter else "",
        system="" if system is None else _SYSTEM.format(text=ascii(system)),
        question=ascii(question),
        length=length,
    )
