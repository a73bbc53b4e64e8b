"""A first run, cell by cell: a notebook in `# %%` cells, which VS Code, PyCharm and Jupytext open as one."""

# %% [markdown]
# # A first run, cell by cell
#
# Run it as a whole, too: `python docs/examples/first_run.py`. It trains two toy tasks for half a minute, looks at the
# run, and acts with the policy.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

import stars_dist

# %% [markdown]
# ## Train
# The same as `stars-dist launch --suite toy:2 --preset small --serial --steps 6000`, in this process.

# %%
run = stars_dist.train("toy:2", presets=["stars", "small"], settings={"steps": 6000, "serial": True})
print(run)

# %% [markdown]
# ## What came out
# Every task is evaluated over its goals; the interval is Wilson's, at 95 %.

# %%
for task in run.evaluation().tasks:
    low, high = task.ci95
    print(f"{task.name}: success {task.success_rate:.2f} ({low:.2f} to {high:.2f}) over {task.n} episodes")

# %% [markdown]
# ## How it got there
# Metrics are columns against the environment steps of all tasks; `pandas.DataFrame(run.metrics())` works too.

# %%
metrics = run.metrics("rollout/return/toy-0", "rollout/return/toy-1")
for name in ("rollout/return/toy-0", "rollout/return/toy-1"):
    plt.plot(metrics["env_steps"], metrics[name], label=name)
plt.xlabel("environment steps, all tasks")
plt.ylabel("return of the newest training episodes")
plt.legend()
plt.savefig("returns.png", dpi=150)
print("wrote", Path("returns.png").resolve())

# %% [markdown]
# ## Act with it
# The policy is plain numpy: no torch, no Ray. Goal 7 of 50, the mode action.

# %%
policy = run.policy()
env = stars_dist.make_env("toy-0", benchmark="toy:2", seed=1)
obs, _ = env.reset(options={"goal": 7})
total, truncated, info = 0.0, False, {}
while not truncated:
    obs, reward, terminated, truncated, info = env.step(policy.act(obs, task="toy-0"))
    total += float(reward)
print(f"return {total:.1f}, success: {bool(info['success'])}")
