"""Devices: one, several on one machine, several machines, or TPU cores, and what the bits of a run depend on."""

import json
import os

import tensorflow as tf

from electra_tf.errors import ConfigError

STRATEGIES = ("one", "mirrored", "multi_worker", "tpu")


def use_threads(threads: int | None) -> int:
    """Sets the threads of an operation, by default one a core. Returns their number.

    Where TensorFlow has run something already they are fixed: then its number is kept, and `ConfigError` raised if
    another one is asked for.
    """
    cores = len(os.sched_getaffinity(0))
    count = threads or cores
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(2)
    except RuntimeError as error:
        fixed = tf.config.threading.get_intra_op_parallelism_threads() or cores
        if threads not in (None, fixed):
            raise ConfigError(
                f"{threads} threads were asked for, and TensorFlow runs with {fixed} already",
                remedy="start training before anything else uses TensorFlow, or leave the threads out",
            ) from error
        return fixed
    return count


def make_strategy(name: str, devices: int | None = None) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy called `name`.

    Args:
        name: `one` (the first GPU, else the CPU), `mirrored` (all GPUs of this machine), `multi_worker` (the machines
            in the environment variable TF_CONFIG), or `tpu`.
        devices: how many devices of this machine to use; on a CPU, so many logical devices are made.

    Raises: `ConfigError` for another name, for more devices than there are, and for a missing TF_CONFIG or TPU.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"--strategy is {name!r}", expected=f"one of {', '.join(STRATEGIES)}")
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
        return _multi_worker()
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"no TPU can be reached: {str(error).splitlines()[0]}",
            remedy="set TPU_NAME, or use another --strategy",
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _local_devices(gpus, devices):
    if gpus:
        if devices and devices > len(gpus):
            raise ConfigError(f"{devices} devices were asked for, this machine has {len(gpus)} GPUs")
        return [f"/gpu:{i}" for i in range(devices or len(gpus))]
    count = devices or 2
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < count:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError as error:
            raise ConfigError(
                f"{count} devices were asked for, and TensorFlow runs with fewer already",
                remedy="start training before anything else uses TensorFlow",
            ) from error
    return [f"/cpu:{i}" for i in range(count)]


def _multi_worker():
    try:
        cluster = json.loads(os.environ["TF_CONFIG"])
        kind, index = cluster["task"]["type"], cluster["task"]["index"]
        cluster["cluster"][kind][index]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the environment variable TF_CONFIG does not describe a cluster ({error!r})",
            expected='{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}',
            remedy="set it on every machine, with an index of its own, and start the same command on all",
        ) from error
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy) -> bool:
    """Whether this process writes: true but for the other workers of a cluster."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def describe_devices(strategy) -> str:
    """Such as `2 x CPU`: what the order of sums, and so the last bits of a run, depends on."""
    kind = "TPU" if isinstance(strategy, tf.distribute.TPUStrategy) else None
    kind = kind or ("GPU" if tf.config.list_physical_devices("GPU") else "CPU")
    return f"{strategy.num_replicas_in_sync} x {kind}"
