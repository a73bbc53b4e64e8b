"""MuJoCo's named accessors with every name and every array view looked up once."""

from __future__ import annotations

from typing import Any

import mujoco


class NamedView:
    """What `data.body(name)` gives, keeping each view of the simulation's memory once it has been asked for."""

    def __init__(self, accessor: Any) -> None:
        self.__dict__["_accessor"] = accessor

    def __getattr__(self, field: str) -> Any:
        value = getattr(self._accessor, field)
        self.__dict__[field] = value
        return value

    def __setattr__(self, field: str, value: Any) -> None:
        setattr(self._accessor, field, value)


class NamedViews(dict[str, NamedView]):
    """The views of one kind of object by name."""

    def __init__(self, find: Any) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> NamedView:
        view = self[name] = NamedView(self._find(name))
        return view


class NamedData:
    """An `MjData` whose named accessors are quick; anything else is that of the `MjData` itself.

    The kept views stay valid: bodies, geoms, sites and joints live in the part of an `MjData` that is never
    moved. Contacts and constraint forces do move, and are not kept.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        own = self.__dict__
        own["raw_model"], own["raw"] = model, data
        own["body"] = NamedViews(data.body).__getitem__
        own["geom"] = NamedViews(data.geom).__getitem__
        own["site"] = NamedViews(data.site).__getitem__
        own["joint"] = NamedViews(data.joint).__getitem__
        own["paused"] = False  # while true, nothing is simulated

    def __getattr__(self, field: str) -> Any:
        return getattr(self.raw, field)

    def __setattr__(self, field: str, value: Any) -> None:
        if field == "paused":
            self.__dict__[field] = value
        else:
            setattr(self.raw, field, value)

    def forward(self) -> None:
        if not self.paused:
            mujoco.mj_forward(self.raw_model, self.raw)

    def step(self, num_steps: int = 1) -> None:
        if not self.paused:
            mujoco.mj_step(self.raw_model, self.raw, num_steps)
