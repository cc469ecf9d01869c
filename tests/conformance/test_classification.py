"""Every classifier: one probability per class, whatever the picture."""

import numpy as np
import pytest

from hepatic.io.read import read
from tests.conformance.models import name_of, predictor, tasks_of, turned

all_tasks = pytest.mark.parametrize("task", tasks_of("classification"), ids=name_of)


@all_tasks
def test_classes_have_probabilities_that_sum_to_one(task, studies, tmp_path):
    served = predictor(task, tmp_path)
    for image in studies[task.modality][0].phases.values():
        found = served.predict(task, image)
        assert tuple(found.probabilities) == task.labels
        assert task.findings or sum(found.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert found.label in task.classes
        assert all(0 <= probability <= 1 for probability in found.probabilities.values())


@all_tasks
def test_a_patient_who_lies_otherwise_is_classified_without_an_error(task, studies, tmp_path):
    found = predictor(task, tmp_path).classify(task, turned(read(studies[task.modality][0].image)))
    assert np.isfinite(list(found.probabilities.values())).all()
