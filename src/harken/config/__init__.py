"""Recipes: the settings of a run, as validated values.

Every key of a recipe is a field of a section, documented beside it; there is one file for each section. An unknown key,
a wrong type or a contradiction is an error that names the key, the value and the fix. The marks are those of
docs/method.md: [P] a value of the paper, [S] of a sibling method, [O] our own.
"""

from harken.config.data import DataConfig, SourceConfig
from harken.config.evaluation import EvaluationRecipe, SubsetConfig
from harken.config.extends import read_mapping
from harken.config.generation import (
    CaptionRecipe,
    GenerationRecipe,
    GenerationT,
    ParaphraseRecipe,
    PricesConfig,
    QuestionFilters,
    QuestionRecipe,
    ReasoningRecipe,
    SamplingConfig,
)
from harken.config.judge import EndpointConfig, JudgeConfig, LocalJudgeConfig
from harken.config.logging import LoggingConfig
from harken.config.memory import MemoryConfig
from harken.config.model import LoraConfig, ModelConfig
from harken.config.probe import ProbeConfig
from harken.config.prompt import ChoicesShown, PromptConfig
from harken.config.published import PublishedRow
from harken.config.read import (
    apply_override,
    as_yaml,
    kind_of,
    load_any_recipe,
    load_recipe,
    load_run_recipe,
    parse,
    read_run_values,
    read_values,
    resolve_recipe,
    set_key,
    with_import_folders,
)
from harken.config.recipe import Recipe
from harken.config.renamed import rename_keys
from harken.config.reward import BUILT_IN_REWARDS, AdaptiveOptions, ListeningOptions, RewardConfig, RewardPart
from harken.config.section import Section
from harken.config.training import GrpoConfig, SftConfig
from harken.errors import ConfigError

__all__ = [
    "BUILT_IN_REWARDS",
    "AdaptiveOptions",
    "CaptionRecipe",
    "ChoicesShown",
    "ConfigError",
    "DataConfig",
    "EndpointConfig",
    "EvaluationRecipe",
    "GenerationRecipe",
    "GenerationT",
    "GrpoConfig",
    "JudgeConfig",
    "ListeningOptions",
    "LocalJudgeConfig",
    "LoggingConfig",
    "LoraConfig",
    "MemoryConfig",
    "ModelConfig",
    "ParaphraseRecipe",
    "PricesConfig",
    "ProbeConfig",
    "PromptConfig",
    "PublishedRow",
    "QuestionFilters",
    "QuestionRecipe",
    "ReasoningRecipe",
    "Recipe",
    "RewardConfig",
    "RewardPart",
    "SamplingConfig",
    "Section",
    "SftConfig",
    "SourceConfig",
    "SubsetConfig",
    "apply_override",
    "as_yaml",
    "kind_of",
    "load_any_recipe",
    "load_recipe",
    "load_run_recipe",
    "parse",
    "read_mapping",
    "read_run_values",
    "read_values",
    "rename_keys",
    "resolve_recipe",
    "set_key",
    "with_import_folders",
]
