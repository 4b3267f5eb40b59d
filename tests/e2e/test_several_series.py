"""CT, PET and MR of a real patient from the listener to the PACS: one lesion, a structure set on every series."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_gateway.demo.send import send_files
from tests.conftest import data_folder
from tests.e2e.peers import Radgate, free_port, wait_for
from tests.e2e.test_kill import CONFIG, engine_of, states

ROUTE = """
[[route]]
name = "sarcoma"
bundle = "soft_tissue_sarcoma_gtv_segmentation"
when.all = [ { tag = "Modality", equals = "CT" } ]
"""


@pytest.mark.slow
@pytest.mark.data
def test_three_series_become_one_lesion_with_a_structure_set_on_each(tmp_path: Path) -> None:
    files = sorted((data_folder("sts_petct") / "STS_008").glob("*/image/*.dcm"))
    series = {
        str(ds.SeriesInstanceUID): str(ds.Modality) for f in files for ds in [dcmread(f, stop_before_pixels=True)]
    }
    received: dict[str, Any] = {}

    def keep(event: Any) -> int:
        ds = dcmread(BytesIO(event.encoded_dataset()))
        received[str(ds.SOPInstanceUID)] = ds
        return 0x0000

    pacs = AE(ae_title="ARCHIVE")
    pacs.supported_contexts = AllStoragePresentationContexts
    port = free_port()
    server: Any = pacs.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(port=port) + ROUTE)
    try:
        radgate.start()
        assert send_files(files, "127.0.0.1", radgate.dicom_port, lambda: None).accepted == len(files)
        wait_for("the study to be delivered", lambda: states(engine_of(radgate)) == ["DELIVERED"], 240)
    finally:
        radgate.stop()
        server.shutdown()

    drawn_on = []
    for ds in received.values():
        if ds.Modality == "RTSTRUCT":
            assert [str(roi.ROIName) for roi in ds.StructureSetROISequence] == ["GTV"]
            frame = ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
            drawn_on.append(series[str(frame.RTReferencedSeriesSequence[0].SeriesInstanceUID)])
    assert sorted(drawn_on) == ["CT", "MR", "PT"]
    assert sorted({str(ds.Modality) for ds in received.values()}) == ["DOC", "RTSTRUCT", "SEG", "SR"]
