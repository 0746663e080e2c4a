"""What methods may ask for: the detector, the engine, their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from civilly.detect.by_sentence import open_detector
from civilly.types import Detector, Engine


@dataclass
class Toolbox:
    """What methods share; each tool is made when it is first asked for.

    Attributes:
        engine_spec: An engine as `civilly.engines.open_engine` takes it.
        options: Options of the method.
        lender: Whose tools these are, where several methods share them.
    """

    engine_spec: str | None
    options: Mapping[str, Any]
    lender: Toolbox | None = None

    @cached_property
    def detector(self) -> Detector:
        """The toxicity detector, which looks at each sentence by itself."""
        if self.lender:
            return self.lender.detector
        return open_detector(tools=self)

    @property
    def opened(self) -> Engine | None:
        """The engine, if one was asked for."""
        return vars(self).get("_engine")

    @cached_property
    def _engine(self) -> Engine:
        if self.lender:
            return self.lender.engine()
        from civilly.engines import open_engine

        return open_engine(self.engine_spec)

    def engine(self) -> Engine:
        """The engine that the user chose, or the embedded one."""
        return self._engine
