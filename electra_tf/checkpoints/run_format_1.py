"""`run.json` as version 0.1 wrote it, when ELECTRA was all that could be trained, in today's terms."""

_RECIPE = ("steps", "batch_size", "micro_batches", "seed", "precision", "compiler", "log_every", "checkpoint_every")
_RECIPE += ("eval_every", "keep", "milestone_every", "eval_examples", "eval_seed")
_SCHEDULE = {"kind": "schedule", "peak": "learning_rate", "warmup_steps": "warmup_steps", "power": "lr_decay_power"}
_SCHEDULE |= {"end": "end_learning_rate", "decay_steps": "decay_steps"}
_ADAMW = ("weight_decay", "beta_1", "beta_2", "epsilon", "bias_correction", "clip_norm")
_MASKING = ("mask_prob", "max_predictions", "mask_token_prob", "random_token_prob")
_COMPAT = ("draw_with_replacement", "count_special_tokens")
_ELECTRA = ("preset", "discriminator", "generator", "generator_width", "generator_depth", "embedding_sharing")
_ELECTRA += ("mlm_weight", "disc_weight", "temperature", "disallow_correct")
_SHARED = {"all": "embeddings/", "word": "embeddings/word/"}


def from_format_1(run: dict) -> dict:
    """A description of format 2. Fields that came later are left out: they are as they were without them."""
    model, recipe, data = run["model"], run["recipe"], run["data"]
    compat, settings = model.get("compat", {}), run.get("settings", {})
    masking = {name: model[name] for name in _MASKING if name in model}
    masking |= {name: compat[name] for name in _COMPAT if name in compat}
    if model.get("random_token_prob"):
        masking["random_special_tokens"] = True
    electra = {name: settings[name] for name in _ELECTRA if name in settings}
    electra |= {name: recipe[name] for name in ("generator_steps", "initial_weights") if name in recipe}
    shared = _SHARED.get(model["embedding_sharing"])
    return {
        **{name: value for name, value in run.items() if name not in ("model", "settings", "recipe")},
        "format_version": 2,
        "settings": {
            "Recipe": {name: recipe[name] for name in _RECIPE if name in recipe}
            | {"objective": "electra", "optimizer": "adamw"}
            | {"normalise_per_replica": compat.get("normalise_per_replica", False)},
            "Schedule": {ours: recipe[theirs] for ours, theirs in _SCHEDULE.items() if theirs in recipe},
            "AdamW": {name: recipe[name] for name in _ADAMW if name in recipe},
            "Electra": electra,
            "Masking": masking,
        },
        "towers": {tower: model[tower] for tower in ("discriminator", "generator")},
        "heads": {"discriminator": ["replaced_token"], "generator": ["masked_lm"]},
        "shared": {f"generator/{shared}": f"discriminator/{shared}"} if shared else {},
        "data": data,
        "describe": {
            "learned by": "replaced-token detection",
            "masked": f"{model['mask_prob']:.0%} of the tokens",
        },
        "curves": [
            ["Generator: masked-LM loss (nats)", ["mlm_loss", "unigram_loss"]],
            ["Discriminator: loss (nats a token)", ["disc_loss"]],
            ["Discriminator: area under the ROC curve", ["disc_auc", "fixed_disc_auc"]],
        ],
    }
