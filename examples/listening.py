"""Train the demo, evaluate it with five kinds of audio before and after GRPO, and plot the result: listening.svg."""

import harken

demo = harken.write_demo("demo")  # questions about built-in sounds, and a tiny random model
start = harken.sft(demo.recipe("sft"), "demo/sft")  # a warm start, until half of the answers are right
run = harken.train(demo.recipe("grpo", start), "demo/grpo", on_step=lambda step: step.metrics["reward/mean"] > 0.97)
listening = {}
for name, trained in {"before GRPO": start, "after GRPO": run}.items():
    out = trained.folder / "eval" / "listening"
    listening[name] = harken.evaluate_listening(model=trained, data=demo.test, max_completion_tokens=8, out=out)
    print(f"{name}: {listening[name]}; audio gain {100 * listening[name].audio_gain.mean:+.1f} points")
accuracy = {name: evaluation.accuracy for name, evaluation in listening.items()}
harken.plot_accuracy(accuracy, title="What the model hears", chance=0.25).save("listening.svg")
