"""A policy as ONNX: `obs` f32[N, O], and `task_id` i64[N] where it has several tasks, to `action` f32[N, A]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_dist.export.exported_policy import Act, ExportedPolicy
from stars_dist.export.network import LEAST_LENGTH, Params, flat_slices, forward

OPSET = 17
IR_VERSION = 10  # which onnxruntime has read since 1.19


def onnx_bytes(policy: ExportedPolicy) -> bytes:
    """Build the model and have ONNX check it."""
    import onnx

    graph = _Graph(policy.weights.params, policy.has_task_input)
    graph.nodes[-1].output[0] = forward(policy.weights.params, "obs", graph) and "action"
    data, floats, integers = policy.metadata, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    inputs = [onnx.helper.make_tensor_value_info("obs", floats, ["N", data.obs_dim])]
    if policy.has_task_input:
        inputs.append(onnx.helper.make_tensor_value_info("task_id", integers, ["N"]))
    output = onnx.helper.make_tensor_value_info("action", floats, ["N", data.action_dim])
    whole = onnx.helper.make_graph(graph.nodes, "policy", inputs, [output], graph.constants)
    model = onnx.helper.make_model(
        whole, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.helper.set_model_props(model, policy.description())
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def onnx_act(content: bytes) -> Act:
    """Load a model as its users do, by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}

    def act(obs: NDArray[np.float32], task_id: NDArray[np.int64]) -> NDArray[np.float32]:
        given = {name: array for name, array in (("obs", obs), ("task_id", task_id)) if name in names}
        result: Any = session.run(["action"], given)
        return result[0]

    return act


class _Graph:
    """Builds the nodes of a graph; a tensor is the name of a value."""

    def __init__(self, params: Params, has_task_input: bool) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._params, self._has_task_input = params, has_task_input
        self._known: set[str] = set()

    def with_task_vector(self, x: str, key: str) -> str:
        return self.concatenate([x, self._of_tasks(key)])

    def linear(self, x: str, layer: str, mix: str) -> str:
        weight, bias = self._params[f"{layer}/weight"], self._params[f"{layer}/bias"]
        if len(weight) == 1 and (self._params[mix] == 1.0).all():
            product = self._node("MatMul", x, self._constant(f"{layer}/weight", weight[0]))
            return self._node("Add", product, self._constant(f"{layer}/bias", bias[0]))
        mixes, middle = self._of_tasks(mix), self._constant("middle_axis", np.array([1]))
        flat = self._node("MatMul", mixes, self._constant(f"{layer}/weight", flat_slices(weight)))
        shape = self._constant(f"{layer}/shape", np.array([-1, *weight.shape[1:]]))
        product = self._node("MatMul", self._node("Unsqueeze", x, middle), self._node("Reshape", flat, shape))
        biases = self._node("MatMul", mixes, self._constant(f"{layer}/bias", bias))
        return self._node("Add", self._node("Squeeze", product, middle), biases)

    def relu(self, x: str) -> str:
        return self._node("Relu", x)

    def unit_length(self, x: str) -> str:
        length = self._node("ReduceL2", x, axes=[-1], keepdims=1)
        least = self._constant("least_length", np.float32(LEAST_LENGTH))
        return self._node("Div", x, self._node("Max", length, least))

    def concatenate(self, parts: list[str]) -> str:
        return self._node("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]

    def mode_action(self, out: str) -> str:
        half = self._params["head/bias"].shape[-1] // 2
        ends = [
            self._constant(f"head/{name}", np.array([value]))
            for name, value in (("from", 0), ("to", half), ("axis", 1))
        ]
        return self._node("Tanh", self._node("Slice", out, *ends))

    def _of_tasks(self, key: str) -> str:
        """Gather the rows f32[T, ...] of a constant that belong to the tasks."""
        rows = self._constant(key, self._params[key])
        assert self._has_task_input, "the network of one task is composed"
        return self._node("Gather", rows, "task_id", axis=0)

    def _constant(self, name: str, value: Any) -> str:
        import onnx

        if name not in self._known:
            self._known.add(name)
            self.constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        import onnx

        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name
