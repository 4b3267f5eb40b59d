"""When a study is whole: a pure engine, and the watcher that feeds it."""

from dicom_gateway.complete.engine import Came, Decision, decide
from dicom_gateway.complete.versions import force_complete, input_digest
from dicom_gateway.complete.watcher import Watcher

__all__ = ["Came", "Decision", "Watcher", "decide", "force_complete", "input_digest"]
