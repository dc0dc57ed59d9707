"""Devices: one, several on one machine, several machines, or TPU cores, and what the bits of a run depend on."""

import json
import os
from dataclasses import dataclass

import keras
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.settings import check_parallel

STRATEGIES = ("one", "mirrored", "multi_worker", "tpu")


@dataclass(frozen=True)
class Devices:
    """Where a run trains; its numbers do not depend on it but for the last bits.

    Attributes:
        strategy, count: see `make_strategy`.
        threads: of an operation on a CPU; None: one a core.
    """

    strategy: str = "one"
    count: int | None = None
    threads: int | None = None


def check_backend() -> None:
    """Raises `ConfigError` unless Keras runs on TensorFlow."""
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras runs on {backend}",
            where="the environment variable KERAS_BACKEND, or ~/.keras/keras.json",
            expected="tensorflow, which training needs; the encoders themselves run on any backend",
            remedy="set KERAS_BACKEND=tensorflow",
        )


def use_threads(threads: int | None) -> int:
    """Sets the threads of an operation, by default one a core. Returns their number.

    Where TensorFlow has run something already they are fixed: then its number is kept, and `ConfigError` raised if
    another one is asked for.
    """
    cores = len(os.sched_getaffinity(0))
    count = threads or cores
    check_parallel(count, "threads")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(2)
    except RuntimeError as error:
        fixed = tf.config.threading.get_intra_op_parallelism_threads() or cores
        if threads not in (None, fixed):
            raise ConfigError(
                f"{threads} threads were asked for, and TensorFlow runs with {fixed} already",
                where="--threads",
                expected="one number of threads in a process",
                remedy="start training before anything else uses TensorFlow, or leave the threads out",
            ) from error
        return fixed
    return count


def make_strategy(name: str, devices: int | None = None) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy called `name`.

    Args:
        name: `one` (the first GPU, else the CPU), `mirrored` (all GPUs of this machine), `multi_worker` (the machines
            in the environment variable TF_CONFIG), or `tpu`.
        devices: how many devices of this machine to use; on a CPU, so many logical devices are made. More than one
            are mirrored.

    Raises: `ConfigError` for another name, for more devices than there are, and for a missing TF_CONFIG or TPU.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"--strategy is {name!r}", expected=f"one of {', '.join(STRATEGIES)}")
    if devices and name in ("multi_worker", "tpu"):
        raise ConfigError(
            f"{devices} devices were asked for, and --strategy is {name}, which uses all that there are",
            expected="--devices with one or mirrored",
            remedy="leave --devices out"
            + ("" if name == "tpu" else "; CUDA_VISIBLE_DEVICES says which GPUs of a machine are used"),
        )
    if name == "one" and devices and devices > 1:
        name = "mirrored"
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        tf.config.experimental.enable_op_determinism()
    if name == "one":
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    if name == "mirrored":
        # On CPUs sums are taken on one device, in the order of the replicas.
        reduction = None if gpus else tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(_local_devices(gpus, devices), reduction)
    if name == "multi_worker":
        _task()  # TensorFlow's own errors name nothing
        return tf.distribute.MultiWorkerMirroredStrategy()
    try:
        # `local`, a TPU of this machine, counts only if it is said here.
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(os.environ.get("TPU_NAME"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, ImportError, OSError, tf.errors.OpError) as error:
        raise ConfigError(
            f"no TPU can be reached: {str(error).splitlines()[0]}",
            where=f"TPU_NAME is {os.environ.get('TPU_NAME') or 'not set'}",
            remedy="set TPU_NAME (local for a TPU of this machine), or use another --strategy",
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _local_devices(gpus, devices):
    if gpus:
        if devices and devices > len(gpus):
            raise ConfigError(
                f"{devices} devices were asked for, this machine has {len(gpus)} GPUs",
                where="--devices",
                expected=f"1 to {len(gpus)}",
            )
        return [f"/gpu:{i}" for i in range(devices or len(gpus))]
    count = devices or 2
    check_parallel(count, "devices")
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < count:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError as error:
            raise ConfigError(
                f"{count} devices were asked for, and TensorFlow runs with fewer already",
                where="--devices",
                expected="one number of devices in a process",
                remedy="start training before anything else uses TensorFlow",
            ) from error
    return [f"/cpu:{i}" for i in range(count)]


def _task() -> tuple[dict, str, int]:
    """(cluster, kind, index) of this process, by TF_CONFIG."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster, kind, index = config["cluster"], config["task"]["type"], config["task"]["index"]
        if wrong := _wrong_in(cluster, kind, index):
            raise ValueError(wrong)
        return cluster, kind, index
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        found = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"it does not describe a cluster: {found}",
            where="the environment variable TF_CONFIG",
            expected='{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}',
            remedy="set it on every machine, with an index of its own, and start the same command on all",
        ) from error


def _wrong_in(cluster, kind, index) -> str | None:
    """What of a TF_CONFIG TensorFlow would end the process at, or wait at for ever."""
    if not isinstance(cluster, dict) or not cluster or {*cluster} - {"chief", "worker"}:
        return f"the cluster is {cluster}, and what trains alike is a worker, or the chief"
    for addresses in cluster.values():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            return f"addresses are {addresses}"
    if "chief" in cluster and len(cluster["chief"]) != 1:
        return f"there are {len(cluster['chief'])} chiefs"
    every = [address for addresses in cluster.values() for address in addresses]
    if twice := sorted({address for address in every if every.count(address) > 1}):
        return f"two of it have the address {twice[0]}"
    if not isinstance(kind, str) or type(index) is not int or not 0 <= index < len(cluster.get(kind, ())):
        return f"this process is {kind} {index}, which is not in it"
    return None


def _is_address(text):
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536


def is_chief(strategy: str) -> bool:
    """Whether this process writes: true but for the other workers of a cluster. Raises as `make_strategy`."""
    if strategy != "multi_worker":
        return True
    cluster, kind, index = _task()
    return kind == "chief" or ("chief" not in cluster and index == 0)


def describe_devices(strategy) -> str:
    """Such as `2 x CPU`: what the order of sums, and so the last bits of a run, depends on."""
    kind = "TPU" if isinstance(strategy, tf.distribute.TPUStrategy) else None
    kind = kind or ("GPU" if tf.config.list_physical_devices("GPU") else "CPU")
    return f"{strategy.num_replicas_in_sync} x {kind}"
