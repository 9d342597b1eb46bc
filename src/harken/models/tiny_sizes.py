"""The sizes of tiny models: those of the language model and those of the audio tower."""

HIDDEN_SIZE = 128
TEXT_SIZES = {"hidden_size": HIDDEN_SIZE, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4}
TOWER_SIZES = {
    "d_model": 96,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
    "num_mel_bins": 128,
}
