# harken on CUDA, or on a CPU. Build from the root of a checkout:
#
#     docker build -t harken .                                              # torch as PyPI has it: for CUDA 13
#     docker build -t harken --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .
#     docker build -t harken-cpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .
#     docker run --rm --gpus all -v "$PWD/runs:/work/runs" harken harken doctor
#
# The CUDA libraries come with torch's wheels, so the image needs only the host's driver (and the NVIDIA container
# toolkit). Take the index that fits the driver: an older driver than that of CUDA 13 needs cu126. There are no wheels
# for CUDA 12.8 after torch 2.11 (github.com/pytorch/pytorch/issues/178665). `make image` carries out these steps
# without docker, on a CPU.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm

# The index of torch. The other dependencies come from PyPI.
ARG TORCH_INDEX=https://pypi.org/simple
# Further parts of harken: data, pandas, tensorboard, wandb, trackio, gpu.
ARG EXTRAS=data,pandas,tensorboard,gpu

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HF_HOME=/work/huggingface

# torch first and alone: it is most of the image, and it changes less often than harken. harken's dependencies are
# ranges, which pip narrows; constraints.txt has the versions that tests and figures were made with.
# hadolint ignore=DL3013
RUN pip install --index-url "${TORCH_INDEX}" "torch>=2.11,<2.14"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY recipes ./recipes
# hadolint ignore=DL3013
RUN pip install ".[${EXTRAS}]" && harken --version && harken recipes > /dev/null

# Runs, data and downloaded models live outside the image.
WORKDIR /work
VOLUME ["/work"]
CMD ["harken", "--help"]
