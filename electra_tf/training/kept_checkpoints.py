"""Which checkpoints of a run stay."""

from dataclasses import dataclass

from electra_tf.checkpoints.run_checkpoints import best_steps, list_checkpoints
from electra_tf.files import remove


@dataclass(frozen=True)
class Kept:
    """What stays, whether a run was stopped or not.

    Attributes:
        newest, milestone_every: `keep` and `milestone_every` of `Recipe`.
        best, metric: so many checkpoints that are best by this metric stay, too.
        every, last: steps at which checkpoints are due. Others, which a signal has asked for, stay until the next one
            that is due.
    """

    newest: int = 5
    milestone_every: int = 0
    best: int = 1
    metric: str | None = None
    every: int = 1
    last: int | None = None

    def remove_others(self, model_dir, step: int) -> None:
        """Removes what is no longer kept beside this step's checkpoint. Later ones are damaged, and do not count."""
        if not self._is_due(step):
            return
        checkpoints = {old: folder for old, folder in list_checkpoints(model_dir) if old <= step}
        for old in [old for old in checkpoints if not self._is_due(old)]:
            remove(checkpoints.pop(old))
        best = best_steps(model_dir, self.metric, self.best) if self.metric else ()
        if self.metric and not best:  # the log is lost, and which one is best with it
            return
        for old in list(checkpoints)[: -self.newest]:
            if old not in best and (not self.milestone_every or old % self.milestone_every):
                remove(checkpoints[old])

    def _is_due(self, step):
        return step == self.last or step % self.every == 0
