"""The labels of a server's container, from the specification of its lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..module_utils.shared.lab_spec import LabSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lab_labels(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels by their names."""
    return LabSpec(**spec).to_labels()


class FilterModule:
    """The filter `lab_labels`."""

    def filters(self) -> dict[str, Callable[..., dict[str, str]]]:
        """Return the filter by its name."""
        return {"lab_labels": lab_labels}
