"""Planned memory against the bytes of tiny models and the measured peaks of one card."""

import pytest
import torch
from tiny_models import ARCHITECTURES, make_prompt, tiny_folder

import harken.config
import harken.planning.plan
import harken.training.host_adamw
import harken.training.memory_saving_adamw
from harken.config import Recipe
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.policy import load_policy
from harken.planning.held_memory import HOST_BUFFERS
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB
from harken.planning.pass_memory import UPDATE
from harken.planning.planned_run import PlannedRun
from harken.planning.published_models import PUBLISHED
from harken.planning.shapes import shape_of
from harken.training.optimizer import build_optimizer
from harken.training.reference_model import make_reference

OMNI_7B, OMNI_3B, QWEN_AUDIO, *_, VOXTRAL_MINI, VOXTRAL_SMALL = PUBLISHED


def recipe(path: str = OMNI_7B, **sections) -> Recipe:
    model = {"path": path, **sections.pop("model", {})}
    return Recipe.model_validate({"name": "x", "model": model, "data": {"train": [{"file": "q"}]}, **sections})


def planned(plan: Recipe, prompt_tokens=320, gpus=1):
    return plan_memory(PlannedRun(plan, plan.grpo, shape_of(plan.model.path), prompt_tokens, clip_s=10.0, gpus=gpus))


def item(memory, name: str):
    return next(item for item in memory.items if item.name == name)


@pytest.mark.parametrize(
    ("path", "tower", "projector", "language"),
    [
        # Whisper large's encoder: 32 blocks of 4 x 1280^2 + 2 x 1280 x 5120 and biases; the language model by hand:
        # 2 x vocabulary x hidden + blocks x (queries, keys, values, output, 3 x hidden x intermediate, norms) + norm.
        (OMNI_7B, 635_056_128, 1280 * 3584 + 3584, 2 * 152_064 * 3584 + 28 * 233_057_792 + 3584),
        (OMNI_3B, 635_053_056, 1280 * 2048 + 2048, 2 * 151_936 * 2048 + 36 * 77_076_992 + 2048),
        (QWEN_AUDIO, 636_968_960, 1280 * 4096 + 4096, 2 * 156_032 * 4096 + 32 * 202_395_648 + 4096),
        # Voxtral's report (arXiv 2507.13264) has 25 M and 3.6 B + 0.4 B, and 52 M and 22.9 B + 0.67 B.
        (VOXTRAL_MINI, 636_968_960, 5120 * 3072 + 3072**2, 2 * 131_072 * 3072 + 30 * 106_960_896 + 3072),
        (VOXTRAL_SMALL, 636_968_960, 2 * 5120**2, 2 * 131_072 * 5120 + 40 * 555_755_520 + 5120),
    ],
)
def test_the_published_models_have_their_parameters(path, tower, projector, language):
    shape = shape_of(path)
    assert (shape.tower, shape.projector, shape.language) == (tower, projector, language)


def held_bytes(tensors) -> int:
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


MODES = {
    "plain": {},
    "language model alone": {"model": {"train_audio_tower": False, "train_projector": False}},
    "adapters": {"model": {"lora": {"rank": 4}}},
    "adapters beside the projector": {"model": {"lora": {"rank": 4}, "train_projector": True}},
    "bfloat16, corrected": {"model": {"precision": "bf16_mixed"}, "memory": {"weights": "bf16_corrected"}},
    "8 bits": {"memory": {"optimizer": "adamw_8bit"}},
    "offloaded, streamed": {"memory": {"optimizer": "offloaded", "reference": "streamed"}},
    "8-bit reference": {"memory": {"reference": "int8"}},
}


@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
@pytest.mark.parametrize(
    ("arch", "mode"),
    [(arch, mode) for arch in ARCHITECTURES for mode in (MODES if arch == ARCHITECTURES[0] else ["plain"])],
)
def test_weights_optimizer_and_reference_have_the_planned_bytes(arch, mode):
    plan = recipe(str(tiny_folder(arch)), **{key: dict(value) for key, value in MODES[mode].items()})
    memory = plan.memory
    policy = load_policy(plan.model, torch.float32 if memory.weights == "float32" else torch.bfloat16)
    reference = make_reference(policy, memory.reference)
    optimizer = build_optimizer(policy.module, learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.0, memory=memory)
    for parameter in policy.module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    expected = planned(plan)
    weights = list(policy.module.parameters())
    # The rest are buffers, an embedding of audio boundaries that never trains, and tensors too small for 8 bits.
    assert item(expected, "weights").device == pytest.approx(held_bytes(weights), rel=0.01)
    # The account has one scale for 256 moments, as in the published models; rows of the tiny one have 96 to 256.
    eight = memory.optimizer == "adamw_8bit"
    counted = {p: values for p, values in optimizer.state.items() if not eight or "exp_avg_scale" in values}
    state = [value for values in counted.values() for value in values.values() if value.ndim > 0]
    trained = sum(p.numel() for p in optimizer.state)
    size = held_bytes(state) * trained / sum(p.numel() for p in counted)
    # Towers with a window have position embeddings that never train; in a tiny tower they are a visible share.
    entry = item(expected, "optimizer")
    host = entry.host
    if memory.optimizer == "offloaded":  # on a CPU the weights are their own float32 form
        host -= HOST_BUFFERS + 4 * trained
    assert entry.device + host == pytest.approx(size, rel=0.02 if arch == ARCHITECTURES[0] else 0.04)
    assert (entry.host > 0) == (memory.optimizer == "offloaded")
    shared = {weight.untyped_storage().data_ptr() for weight in weights}
    own = [tensor for tensor in reference.module.parameters() if tensor.untyped_storage().data_ptr() not in shared]
    beyond = held_bytes(own)
    entry = item(expected, "reference")
    if memory.reference == "streamed":
        blocks = sum(
            p.numel() for name, p in policy.module.named_parameters() if ".layers." in name and p.requires_grad
        )
        assert entry.host == pytest.approx(4 * blocks, rel=0.01)
        turn = 2 * shape_of(plan.model.path).language_blocks // 3 * 4
        assert entry.device - turn == pytest.approx(beyond, rel=0.1)
    elif memory.reference == "int8":
        assert entry.device == pytest.approx(beyond, rel=0.1)
    else:
        assert entry.device == pytest.approx(beyond, rel=0.04)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_keys_and_values_of_a_rollout_have_the_planned_bytes(arch, monkeypatch):
    plan = recipe(
        str(tiny_folder(arch)), grpo={"completions_per_prompt": 3, "max_completion_tokens": 5, "prompts_per_step": 1}
    )
    policy = load_policy(plan.model)
    policy.eos_token_ids = (-1,)
    made = []
    original = policy.new_cache
    monkeypatch.setattr(type(policy), "new_cache", lambda model: made.append(original()) or made[-1])
    question = make_prompt(policy, "Which digit?", 0.9)
    with torch.no_grad():
        rollout(policy, policy.embed([question], policy.encode_audio([question])), 3, Sampling(0, 5), None)
    (cache,) = made
    measured = sum(t.untyped_storage().nbytes() for layer in cache.layers for t in (layer.keys, layer.values))
    assert measured == item(planned(plan, question.length), "rollout's keys and values").device


MEASURED = [
    # docs/performance.md, one H100, bfloat16 weights and gradients, no optimizer or reference, prompts of 323 tokens:
    # model, prompts, G, completion tokens, checkpointing, GiB
    (OMNI_7B, 1, 8, 16, False, 31.5),
    (OMNI_7B, 2, 4, 16, False, 32.1),
    (OMNI_7B, 1, 8, 16, True, 30.9),
    (OMNI_7B, 1, 8, 256, True, 30.9),
    (OMNI_3B, 1, 8, 16, False, 15.3),
]


@pytest.mark.parametrize("case", MEASURED)
def test_the_planned_peak_is_within_3_percent_of_what_a_card_measured(case):
    path, prompts, group, length, checkpointing, measured = case
    plan = recipe(
        path,
        model={"precision": "bf16_mixed", "gradient_checkpointing": checkpointing},
        grpo={
            **{
                "prompts_per_step": prompts,
                "tokens_per_micro_batch": prompts * (323 + group * (length - 1)),
                "completions_per_prompt": group,
            },
            **{"max_completion_tokens": length, "beta": 0.0},
        },
        memory={"weights": "bf16_stochastic"},
    )
    memory = planned(plan, 323)
    absent = item(memory, "optimizer").device + item(memory, "update").device
    assert (memory.peak - absent) / GIB == pytest.approx(measured, rel=0.03)


def test_the_modes_of_one_48_gib_card_are_those_of_the_design():
    """By hand, 8.255 B weights: bfloat16 weights 15.4 GiB, moments of 8 bits 15.6 GiB; the streamed reference keeps
    embedding, head and two blocks: (8.255 - 7.155) x 2 bytes + 2 x 0.233 x 2 bytes = 2.9 GiB."""
    plan = recipe(
        model={"precision": "bf16_mixed", "gradient_checkpointing": True},
        grpo={
            **{"completions_per_prompt": 8, "max_completion_tokens": 16},
            "max_grad_norm": None,
        },
        memory={
            **{"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True},
            "reference": "streamed",
        },
    )
    memory = planned(plan)
    gib = {entry.name: entry.device / GIB for entry in memory.items}
    assert gib["weights"] == pytest.approx(15.38, abs=0.01)
    assert gib["optimizer"] == pytest.approx(15.62, abs=0.01)
    assert gib["reference"] == pytest.approx(2.91, abs=0.03)
    assert memory.peak / GIB < 44
    assert item(memory, "reference").host / GIB == pytest.approx(13.33, abs=0.01)


def test_with_a_step_in_the_backward_pass_the_largest_of_its_moments_counts():
    """By hand, with a head of 152,064 x 3,584 numbers. In float32 under bf16_mixed the head's gradient is made in
    bfloat16 and copied: 1.5 times its size beside logits and activations. In bfloat16 and with short completions the
    two gradients of the embedding are more than a gradient beside logits, or beside the update, with activations."""
    head = 152_064 * 3584
    modes = {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True}
    for memory, group, by_hand in (
        ({"step_in_backward": True}, 8, lambda activations, logits: activations + logits + head * 6),
        (modes, 8, lambda activations, logits: activations + logits + head * 2),
        (modes, 2, lambda activations, logits: head * 4),
    ):
        plan = recipe(
            model={"precision": "bf16_mixed", "gradient_checkpointing": True},
            grpo={
                **{"completions_per_prompt": group, "max_completion_tokens": 8 * group, "max_grad_norm": None},
                "prompts_per_step": 4 if group == 2 else 8,
            },
            memory=memory,
        )
        planned_memory = planned(plan, 40 if group == 2 else 320)
        activations, logits = (item(planned_memory, name).device for name in ("activations", "logits"))
        training = sum(entry.device for entry in planned_memory.training)
        assert training == by_hand(activations, logits)


def test_the_bytes_of_the_update_are_ten_of_the_optimizers_pieces():
    assert UPDATE == 10 * 4 * harken.training.memory_saving_adamw.PIECE


def test_the_host_buffers_are_those_of_the_offloaded_optimizer():
    optimizer = harken.training.host_adamw
    assert HOST_BUFFERS == 2 * optimizer.BUFFERS * optimizer.PIECE * 4


def test_a_checkpoint_on_its_way_is_counted_in_host_memory():
    """By hand: 8.255 B weights as float32 are 33.0 GB; with bfloat16 weights and their corrections too; several cards
    hold the bfloat16 reference beside that."""
    weights = 635_056_128 + 1280 * 3584 + 3584 + 2 * 152_064 * 3584 + 28 * 233_057_792 + 3584
    assert item(planned(recipe()), "checkpoint").host == 4 * weights
    corrected = recipe(model={"precision": "bf16_mixed"}, memory={"weights": "bf16_corrected"})
    assert item(planned(corrected), "checkpoint").host == 4 * weights
    several = planned(recipe(model={"precision": "bf16_mixed"}), gpus=8)
    assert item(several, "checkpoint").host == 6 * weights
    assert several.host(8) == max(6 * weights, 8 * 2 * GIB)


def test_more_cards_share_weights_and_gather_them_for_a_rollout():
    single, four = planned(recipe()), planned(recipe(), gpus=4)
    for name in ("weights", "optimizer", "reference"):
        assert item(four, name).device == pytest.approx(item(single, name).device / 4, rel=1e-6)
    head = 152_064 * 3584 * 4  # is received in a buffer and copied
    assert item(four, "whole weights").device == item(single, "weights").device + head
    assert four.peak < single.peak
