"""What dicompyler-core does, timed in its own environment: `python _dicompyler_job.py RTSTRUCT RTDOSE`.

Its release asks for `pydicom.dicomio.read_file`, which pydicom 3 no longer has: one line puts it back.
"""

import json
import sys
import time

import pydicom.dicomio

# `setattr`, because type checkers know that the name is not there.
setattr(pydicom.dicomio, "read_file", pydicom.dcmread)  # noqa: B010

from dicompylercore import dvhcalc  # type: ignore[import-not-found]  # noqa: E402

structures_file, dose_file = sys.argv[1:]
begin = time.process_time()
structures = pydicom.dcmread(structures_file)
dose = pydicom.dcmread(dose_file)
found = {}
for item in structures.StructureSetROISequence:
    curve = dvhcalc.get_dvh(structures, dose, int(item.ROINumber))
    found[str(item.ROIName)] = [float(curve.volume), float(curve.mean), float(curve.D95.value), float(curve.D5.value)]
print(json.dumps({"seconds": time.process_time() - begin, "found": found}))
