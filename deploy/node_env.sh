# The environment of every shell and every Ray process on a node: ~/.bashrc and the start commands source it.
export PATH="$HOME/stars-dist-venv/bin:$PATH"

# Ray then answers nobody who does not hold the token in ~/.ray/auth_token.
export RAY_AUTH_MODE=token

# `ray job stop` acts like Ctrl-C and waits for the checkpoint (Ray's own way: SIGTERM, three seconds, SIGKILL).
export RAY_JOB_STOP_SIGNAL=SIGINT
export RAY_JOB_STOP_WAIT_TIME_S=120

# `ray up` exports OMP_NUM_THREADS=1 in front of every command, and all Ray workers would inherit it: the learner
# would compute on one thread. Unset, Ray gives each worker as many threads as it reserved CPUs.
unset OMP_NUM_THREADS
