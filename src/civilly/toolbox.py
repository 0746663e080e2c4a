"""What methods may ask for: the detector, the engine, their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from civilly.detect import DEFAULT
from civilly.detect.by_sentence import open_detector
from civilly.types import Detector, Engine


@dataclass
class Toolbox:
    """What methods share; each tool is made when it is first asked for.

    Attributes:
        engine_spec: An engine as `civilly.engines.open_engine` takes it.
        options: Options of the method.
        lender: Whose tools these are, where several methods share them.
        detector_spec: A detector as `civilly.detect.by_sentence.open_detector` takes it.
    """

    engine_spec: str | None
    options: Mapping[str, Any]
    lender: Toolbox | None = None
    detector_spec: str = DEFAULT

    @cached_property
    def detector(self) -> Detector:
        """The toxicity detector, which looks at each sentence by itself."""
        if self.lender and self.lender.detector_spec == self.detector_spec:
            return self.lender.detector
        return open_detector(self.detector_spec, self)

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
