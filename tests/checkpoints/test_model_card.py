"""The model card of an exported run: what was trained, how, and how well."""

import json

from small_models import CONFIGS

from electra_tf.checkpoints.model_card import model_card

TOLD = ("90,000 tokens in 3,000 examples of 32", "weight decay 0.01", '`{"num_attention_heads": 2}` in that file')


def test_a_card_says_what_was_trained_how_and_how_well(tmp_path):
    config = CONFIGS["electra"].to_dict()
    settings = {
        "Recipe": {"steps": 1200, "batch_size": 64, "seed": 3},
        "Schedule": {"kind": "linear", "peak": 0.002, "warmup_steps": 100},
        "AdamW": {"beta_1": 0.9, "beta_2": 0.999, "weight_decay": 0.01},
    }
    data = {"identity": "0123456789abcdef0123", "tokens": 90_000, "examples": 3_000, "length": 32}
    run = {"format_version": 2, "settings": settings, "data": data, "shared": {}}
    run["towers"] = {"discriminator": config, "generator": config}
    run["heads"] = {"discriminator": ["replaced_token"], "generator": ["masked_lm"]}
    run["describe"] = {"learned by": "replaced-token detection", "masked": "15% of the tokens"}
    (tmp_path / "run.json").write_text(json.dumps(run))
    lines = [
        {"step": 600, "kind": "eval", "mlm_loss": 6.0, "wall": {"seconds": 1}},
        {"step": 1200, "kind": "eval", "mlm_loss": 5.04321, "wall": {"seconds": 1}},
        {"step": 1200, "kind": "train", "mlm_loss": 4.0, "wall": {}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card = model_card(tmp_path, "generator")
    for words in (
        "1,200",
        "64 rows",
        "0.002",
        "linear, 100 warm-up",
        "by replaced-token detection",
        "15%",
        "| mlm_loss | 5.0432 |",
        *TOLD,
    ):
        assert words in card, words
    assert "ElectraForMaskedLM.from_pretrained" in card
    assert "seconds" not in card
    assert "ElectraForPreTraining" in model_card(tmp_path, "discriminator")
    assert "pooler" not in card
    run["towers"] = dict.fromkeys(run["towers"], CONFIGS["albert"].to_dict())
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert "Its pooler was not trained" in model_card(tmp_path, "discriminator")
    assert "pooler" not in model_card(tmp_path, "generator")
    assert "# An ALBERT discriminator" in model_card(tmp_path, "discriminator")
    run["describe"] = {"learned | by": "<script>alert(1)</script>\n# A heading\n| a | b |"}
    run["settings"]["Schedule"]["kind"] = "linear `x` [link](http://a)"
    (tmp_path / "run.json").write_text(json.dumps(run))
    card = model_card(tmp_path, "discriminator")
    assert "<script>" not in card
    assert "\n# A heading" not in card
    assert r"| learned \| by | &lt;script&gt;alert(1)&lt;/script&gt; # A heading \| a \| b \| |" in card
    assert r"linear \`x\` \[link\](http://a)" in card
