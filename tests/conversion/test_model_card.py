import json

from small_models import CONFIGS

from electra_tf.conversion.model_card import model_card

TOLD = ("90,000 tokens in 3,000 examples of 32", "weight decay 0.01", '`{"num_attention_heads": 2}` in that file')


def test_a_card_says_what_was_trained_how_and_how_well(tmp_path):
    config = CONFIGS["electra"].to_dict()
    recipe = {"steps": 1200, "batch_size": 64, "learning_rate": 0.002, "schedule": "linear", "warmup_steps": 100}
    recipe |= {"beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.01}
    data = {"identity": "0123456789abcdef0123", "tokens": 90_000, "examples": 3_000, "length": 32}
    model = {"discriminator": config, "generator": config, "mask_prob": 0.15}
    run = {"model": model, "recipe": recipe | {"seed": 3}, "data": data}
    (tmp_path / "run.json").write_text(json.dumps(run))
    lines = [
        {"step": 600, "kind": "eval", "mlm_loss": 6.0, "wall": {"seconds": 1}},
        {"step": 1200, "kind": "eval", "mlm_loss": 5.04321, "wall": {"seconds": 1}},
        {"step": 1200, "kind": "train", "mlm_loss": 4.0, "wall": {}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card = model_card(tmp_path, "generator")
    for words in ("1,200", "64 rows", "0.002", "linear, 100 warm-up", "15%", "| mlm_loss | 5.0432 |", *TOLD):
        assert words in card, words
    assert "ElectraForMaskedLM.from_pretrained" in card
    assert "seconds" not in card
    assert "ElectraForPreTraining" in model_card(tmp_path, "discriminator")
