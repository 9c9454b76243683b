#!/usr/bin/env bash
# Pack what a GPU machine without internet access needs to train: TensorFlow's GPU build, the CUDA 12 libraries that it
# must have, the plugin, what it and its tests import, in parts of a size of your choice.
#
#   benchmarks/gpu/pack.sh DEST [PART_MIB]        e.g. benchmarks/gpu/pack.sh .gpu 58
#
# Run it where pip works; it takes about five minutes and 6 GiB of disk. DEST then holds part-00, part-01, … and
# SHA256SUM; benchmarks/gpu/unpack.sh puts them together on the host.
#
#   PYTHON_VERSION   the host's Python, for which wheels are chosen; 3.12 unless set
#   TF_VERSION       2.21.0 unless set
#   CUDNN=1          packs cuDNN as well; otherwise the host's own cuDNN 9 serves
#   ARCHITECTURE     of the host's GPU (90 for H100 and H200): the machine code for all others is left out, which makes
#                    480 MiB with cuDNN, where it is 700 without
set -euo pipefail
dest=${1:?usage: pack.sh DEST [PART_MIB]}
part_mib=${2:-58}
python_version=${PYTHON_VERSION:-3.12}
tensorflow_version=${TF_VERSION:-2.21.0}

mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
site=$work/site

platforms=()
for glibc in 2_28 2_27 2_24 2_17 2_12 2_5; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
for name in manylinux2014 manylinux2010 manylinux1; do platforms+=(--platform "${name}_x86_64"); done

into_site() {
  python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$site" --only-binary=:all: \
    --implementation cp --python-version "$python_version" "${platforms[@]}" "$@"
}

repository=$(dirname "${BASH_SOURCE[0]}")/../..
python3 -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/wheel" "$repository"
into_site "tensorflow==$tensorflow_version" pytest pytest-xdist nvidia-ml-py psutil pyyaml filelock
into_site --no-deps "$work"/wheel/*.whl
# In one go: pip leaves out what shares a folder with what is there. The oldest cuBLAS that TensorFlow 2.21 takes is a
# third smaller than the newest.
cuda=(nvidia-cublas-cu12==12.5.3.2 nvidia-cuda-runtime-cu12==12.5.82 nvidia-cuda-cupti-cu12==12.5.82
  nvidia-cuda-nvcc-cu12==12.5.82 nvidia-nvjitlink-cu12==12.5.82)
[ "${CUDNN:-0}" = 0 ] || cuda+=(nvidia-cudnn-cu12==9.10.2.21 nvidia-cuda-nvrtc-cu12==12.5.82)
into_site --no-deps "${cuda[@]}"

# TensorFlow takes no GPU before it has found these, which image classifiers never call: empty ones do. NCCL, for several
# GPUs, it does not look for.
for library in cufft/lib/libcufft.so.11 cusolver/lib/libcusolver.so.11 cusparse/lib/libcusparse.so.12; do
  mkdir -p "$site/nvidia/$(dirname "$library")"
  cc -shared -x c /dev/null -o "$site/nvidia/$library"
done

# Training needs no headers, no clang bindings and none of the largest library's symbols. The other libraries were
# rewritten by patchelf, which stripping would break.
rm -rf "$site/clang" "$site/tensorflow/include" "$site"/nvidia/*/include "$site"/nvidia/cuda_cupti/lib/libnvperf_*
strip --strip-unneeded "$site/tensorflow/libtensorflow_cc.so.2"

if [ -n "${ARCHITECTURE:-}" ]; then
  find "$site" -name '*.so*' -size +2M -exec \
    python3 "$repository/benchmarks/gpu/keep_architecture.py" "$ARCHITECTURE" {} +
fi

XZ_OPT='-T0 -6' tar -C "$work" -cJf "$work/site.tar.xz" site
rm -f "$dest"/part-* "$dest/SHA256SUM"
split -b "${part_mib}M" -d -a 2 "$work/site.tar.xz" "$dest/part-"
(cd "$work" && sha256sum site.tar.xz) > "$dest/SHA256SUM"
ls -l "$dest"
