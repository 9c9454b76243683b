#!/usr/bin/env bash
# On the GPU host: put the parts of pack.sh together again and let this shell's Python find them.
#
#   source benchmarks/gpu/unpack.sh PARTS SHA256SUM [TARGET]        TARGET is ~/tf-gpu unless given
#
# PARTS is the folder with part-00, part-01, …; SHA256SUM the file beside them. Nothing is written outside TARGET. It
# ends with the GPUs that TensorFlow sees.
_batchguard_parts=${1:?usage: source unpack.sh PARTS SHA256SUM [TARGET]}
_batchguard_sum=$(realpath "${2:?usage: source unpack.sh PARTS SHA256SUM [TARGET]}")
_batchguard_target=${3:-$HOME/tf-gpu}

# Where a library was not packed, the host's own takes its place: TensorFlow looks for each in nvidia/NAME/lib beside
# itself. cuDNN 9, NCCL 2, cuRAND 10 and cuSPARSE 12 are the same in CUDA 13. cuFFT and cuSOLVER are not, but have to be
# found when TensorFlow starts; a model that calls them fails, and image classifiers do not.
_batchguard_link() { # NAME WANTED PATTERN
  local folder="$_batchguard_target/site/nvidia/$1/lib" found
  [ ! -e "$folder/$2" ] || return 0
  found=$(
    python3 - "$3" << 'PYTHON'
import glob, site, sys

places = [*site.getsitepackages(), "/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"]
places.append("/usr/lib/x86_64-linux-gnu")
print(next((file for place in places for file in glob.glob(f"{place}/**/{sys.argv[1]}", recursive=True)), ""))
PYTHON
  )
  if [ -z "$found" ]; then
    echo "not on this host: $3, wanted as $2"
    return 0
  fi
  mkdir -p "$folder"
  if [ "$1" = cudnn ]; then # loads its engines from where it lies itself
    ln -sf "$(dirname "$found")"/libcudnn*.so* "$folder/"
  else
    ln -sf "$found" "$folder/$2"
  fi
  echo "linked $2 to $found"
}

if [ ! -e "$_batchguard_target/ready" ]; then
  mkdir -p "$_batchguard_target" &&
    cat "$_batchguard_parts"/part-* > "$_batchguard_target/site.tar.xz" &&
    (cd "$_batchguard_target" && sha256sum -c "$_batchguard_sum") &&
    tar -C "$_batchguard_target" -xJf "$_batchguard_target/site.tar.xz" &&
    rm "$_batchguard_target/site.tar.xz" || return 1
  _batchguard_link cudnn libcudnn.so.9 'libcudnn.so.9*'
  _batchguard_link nccl libnccl.so.2 'libnccl.so.2*'
  _batchguard_link curand libcurand.so.10 'libcurand.so.10*'
  _batchguard_link cusparse libcusparse.so.12 'libcusparse.so.12*'
  _batchguard_link cufft libcufft.so.11 'libcufft.so.1[12]*'
  _batchguard_link cusolver libcusolver.so.11 'libcusolver.so.1[12]*'
  touch "$_batchguard_target/ready"
fi

export PYTHONPATH="$_batchguard_target/site${PYTHONPATH:+:$PYTHONPATH}"
export LD_LIBRARY_PATH="$(ls -d "$_batchguard_target"/site/nvidia/*/lib | paste -sd:)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export XLA_FLAGS="--xla_gpu_cuda_data_dir=$_batchguard_target/site/nvidia/cuda_nvcc ${XLA_FLAGS:-}"
python3 -c "import tensorflow; print('TensorFlow', tensorflow.__version__, tensorflow.config.list_physical_devices('GPU'))"
