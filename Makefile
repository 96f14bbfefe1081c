# For machines without ROS 2 (with it: colcon build). Every target does its whole set-up first.
#   make demo [DEPTH=1] [VIDEO=file BOX=x0,y0,x1,y1] [MODEL=name WEIGHTS=file ENGINE=onnx]   make play [VIDEO=file PORT=8080]   make test   make lint   make measures   make parameters   make bench
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BARE := tools/bare_ros
IN_ENV := source $(BARE)/env.sh &&
# Folders stand for the list of files in them: symlinks are made again when it changes.
PACKAGE := CMakeLists.txt package.xml $(wildcard action/* msg/* srv/*) \
  $(shell find tam_ros -name '*.py' -o -name 'page.*') \
  $(shell find tam_ros scripts launch config rviz -type d -not -name __pycache__)

.PHONY: setup demo play test lint format measures parameters bench clean same-python
setup: .ws/built

# What each step installs comes on top of the one before.
.venv/ready: requirements/core.txt requirements/ros.txt $(BARE)/setup.sh $(BARE)/repair_prefix.py | same-python
	@$(BARE)/setup.sh .venv $(PYTHON) --no-deps core ros
	@touch $@

.venv/web: requirements/web.txt .venv/ready
	@$(BARE)/setup.sh .venv $(PYTHON) --no-deps core ros web
	@touch $@

.venv/torch: requirements/torch.txt .venv/ready
	@$(BARE)/setup.sh .venv $(PYTHON) core ros torch
	@touch $@

.venv/pictures: requirements/pictures.txt .venv/ready
	@$(BARE)/setup.sh .venv $(PYTHON) core ros pictures
	@touch $@

.venv/all: requirements/training.txt requirements/pictures.txt requirements/dev.txt .venv/web .venv/torch
	@$(BARE)/setup.sh .venv $(PYTHON) core ros web torch training dev
	@touch $@

.venv/lint: requirements/lint.txt | same-python
	@$(BARE)/setup.sh .venv $(PYTHON) lint
	@touch $@

# As on a robot without PyTorch: tests run the node in it.
.venv-onnx/ready: requirements/core.txt requirements/ros.txt $(BARE)/setup.sh | same-python
	@$(BARE)/setup.sh .venv-onnx $(PYTHON) --no-deps core ros
	@touch $@

same-python:
	@$(BARE)/same_python.sh .venv $(PYTHON) $(if $(filter command,$(firstword $(origin PYTHON))),asked)

.ws/built: .venv/ready $(PACKAGE) $(wildcard $(BARE)/*/*) $(BARE)/env.sh
	@$(BARE)/build.sh
	@touch $@

# tam_nano runs without PyTorch.
demo: setup $(if $(DEPTH),.venv/pictures) $(if $(WEIGHTS)$(filter-out tam_nano,$(MODEL))$(filter-out onnx,$(ENGINE)),.venv/torch)
	@$(IN_ENV) python demo/demo.py $(if $(DEPTH),--depth) $(if $(VIDEO),--video "$(VIDEO)") $(if $(BOX),--box "$(BOX)") \
	  $(if $(MODEL),--model "$(MODEL)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
	  $(if $(ENGINE),--engine "$(ENGINE)") $(DEMO_ARGS)

# Camera, tracker and page, until Ctrl-C.
play: setup .venv/web $(if $(filter-out tam_nano,$(MODEL)),.venv/torch)
	@$(IN_ENV) exec python demo/play.py $(if $(VIDEO),--video "$(VIDEO)") $(if $(PORT),--port "$(PORT)") \
	  $(if $(MODEL),--model "$(MODEL)")

# Three processes with one thread each, also for two cores: much of the time goes into waiting for
# nodes, and into exports that use one core. test/conftest.py orders the files.
test: setup .venv/all .venv-onnx/ready
	@$(IN_ENV) OMP_NUM_THREADS=1 pytest -n 3 --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

lint: .venv/lint
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-logo --no-cache
	@.venv/bin/mypy

format: .venv/lint
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

# Needs nothing but Python.
measures:
	@$(PYTHON) tools/measures.py --write

# What the parameter files and docs/parameters.md say of parameters.
parameters: setup
	@$(IN_ENV) python tools/write_parameters.py

bench: setup .venv/all
	@$(IN_ENV) python benchmark/run.py $(if $(REFERENCE),--reference "$(REFERENCE)") $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-onnx .ws demo/out
