# For machines without ROS 2 (with it: colcon build). Every target does its whole set-up first.
#   make demo [VIDEO=file BOX=x0,y0,x1,y1] [MODEL=name WEIGHTS=file ENGINE=onnx]   make test   make lint   make bench
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BARE := tools/bare_ros
IN_ENV := source $(BARE)/env.sh &&
# Folders stand for the list of files in them: symlinks are made again when it changes.
PACKAGE := CMakeLists.txt package.xml $(wildcard msg/* srv/*) $(shell find tam_ros -name '*.py') \
  $(shell find tam_ros scripts launch config rviz -type d -not -name __pycache__)

.PHONY: setup demo test lint format bench clean
setup: .ws/built

.venv/ready: $(wildcard requirements/*.txt) $(BARE)/setup.sh $(BARE)/repair_prefix.py
	@$(BARE)/setup.sh .venv $(PYTHON) core torch ros training dev
	@touch $@

# As on a robot without PyTorch: tests run the node in it.
.venv-onnx/ready: requirements/core.txt requirements/ros.txt $(BARE)/setup.sh
	@$(BARE)/setup.sh .venv-onnx $(PYTHON) core ros
	@touch $@

.ws/built: .venv/ready $(PACKAGE) $(wildcard $(BARE)/vision_msgs/*) $(BARE)/env.sh
	@$(BARE)/build.sh
	@touch $@

demo: setup
	@$(IN_ENV) python demo/demo.py $(if $(VIDEO),--video "$(VIDEO)") $(if $(BOX),--box "$(BOX)") \
	  $(if $(MODEL),--model "$(MODEL)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
	  $(if $(ENGINE),--engine "$(ENGINE)") $(DEMO_ARGS)

# Two processes with one thread each: much of the time goes into waiting, and into exports that
# use one core.
test: setup .venv-onnx/ready
	@$(IN_ENV) OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile $(TEST_ARGS)

lint: .venv/ready
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

format: .venv/ready
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

bench: setup
	@$(IN_ENV) python benchmark/run.py $(if $(REFERENCE),--reference "$(REFERENCE)") $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-onnx .ws demo/out
