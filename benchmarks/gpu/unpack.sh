#!/usr/bin/env bash
# On the GPU host: put the parts of pack.sh together again and take them for this shell's Python.
#
#   source benchmarks/gpu/unpack.sh PARTS SHA256SUM [TARGET]        TARGET is ~/tf-gpu unless given
#
# PARTS is the folder with part-00, part-01, …; SHA256SUM the file beside them. Nothing is written outside TARGET. It
# ends with the GPUs that TensorFlow sees.
_batchguard_parts=${1:?usage: source unpack.sh PARTS SHA256SUM [TARGET]}
: "${2:?usage: source unpack.sh PARTS SHA256SUM [TARGET]}"
_batchguard_sum=$(realpath "$2")
_batchguard_target=${3:-$HOME/tf-gpu}

# Where cuDNN was not packed, the host's own takes its place: its version 9 is the same for CUDA 12 and 13.
_batchguard_link_cudnn() {
  local folder="$_batchguard_target/site/nvidia/cudnn/lib" found
  [ ! -e "$folder/libcudnn.so.9" ] || return 0
  found=$(
    python3 - << 'PYTHON'
import glob, site

places = [*site.getsitepackages(), "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu"]
print(next((file for place in places for file in glob.glob(f"{place}/**/libcudnn.so.9*", recursive=True)), ""))
PYTHON
  )
  if [ -z "$found" ]; then
    echo "neither packed nor on this host: cuDNN 9"
    return 1
  fi
  mkdir -p "$folder"
  ln -sf "$(dirname "$found")"/libcudnn*.so* "$folder/" # it loads its engines from where it lies itself
  echo "linked cuDNN to $found"
}

if ! cmp -s "$_batchguard_sum" "$_batchguard_target/ready"; then
  mkdir -p "$_batchguard_target" &&
    cat "$_batchguard_parts"/part-* > "$_batchguard_target/site.tar.xz" &&
    (cd "$_batchguard_target" && sha256sum -c "$_batchguard_sum") &&
    XZ_DEFAULTS=-T0 tar -C "$_batchguard_target" -xJf "$_batchguard_target/site.tar.xz" &&
    rm "$_batchguard_target/site.tar.xz" &&
    _batchguard_link_cudnn &&
    python3 -m venv --without-pip "$_batchguard_target/venv" && # so that the host's own packages stay out
    cp "$_batchguard_sum" "$_batchguard_target/ready" || return 1
fi

export PATH="$_batchguard_target/venv/bin:$PATH"
# The checkout's own code before the copy of it that was packed.
export PYTHONPATH="$(realpath "$(dirname "${BASH_SOURCE[0]}")/../.."):$_batchguard_target/site${PYTHONPATH:+:$PYTHONPATH}"
export LD_LIBRARY_PATH="$(ls -d "$_batchguard_target"/site/nvidia/*/lib | paste -sd:)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export XLA_FLAGS="--xla_gpu_cuda_data_dir=$_batchguard_target/site/nvidia/cuda_nvcc ${XLA_FLAGS:-}"
python3 -c "import tensorflow; print('TensorFlow', tensorflow.__version__, tensorflow.config.list_physical_devices('GPU'))"
