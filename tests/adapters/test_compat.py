"""What `import monailabel` needs, in processes of their own: stand-ins are put into ``sys.modules`` once."""

import subprocess
import sys

import pytest


def python(code):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_monailabel_imports_beside_pydicom_3_without_its_dependencies():
    said = python(
        "from hepatic.adapters import compat; placed = compat.install()\n"
        "import monailabel.interfaces.app, monailabel.datastore.dicom, monailabel.datastore.dsa, pydicom\n"
        "print('pydicom_seg' in placed, compat.install(), pydicom.__version_info__[0])"
    )
    assert said == "True () 3"


def test_a_stand_in_that_is_called_names_the_extra_to_install():
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "import itk, girder_client\n"
        "for use in (itk.imread, girder_client.GirderClient):\n"
        "    try: use('x')\n"
        "    except ImportError as error: print(error)"
    )
    assert said.count("pip install 'hepatic[monailabel-apps]'") == 2


def test_pydicom_seg_says_that_it_is_gone_rather_than_to_install_it():
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "import pydicom_seg\n"
        "try: pydicom_seg.template.from_dcmqi_metainfo({})\n"
        "except ImportError as error: print(error)"
    )
    assert "unmaintained" in said


def test_an_exception_class_of_a_stand_in_can_stand_in_an_except_clause():
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "import girder_client\n"
        "try:\n"
        "    try: raise KeyError('x')\n"
        "    except girder_client.HttpError: print('caught by the stand-in')\n"
        "except KeyError: print('passed on')"
    )
    assert said == "passed on"


def test_monai_does_not_take_the_stand_in_for_itk():
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "import monailabel.interfaces.app\n"
        "from monai.data import image_reader\n"
        "print('itk' in __import__('sys').modules, image_reader.has_itk)"
    )
    assert said == "True False"


@pytest.mark.parametrize("name", ["itk", "girder_client", "pydicom_seg"])
def test_a_real_package_is_left_alone(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("REAL = True\n")
    said = python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from hepatic.adapters import compat\n"
        f"placed = compat.install()\nimport {name}\nprint({name}.REAL, {name!r} in placed)"
    )
    assert said == "True False"


def test_no_layer_below_the_adapters_needs_monailabel():
    said = python(
        "import sys, hepatic.engine.fit, hepatic.engine.predict, hepatic.tasks.discover, hepatic.store, infer_tasks\n"
        "print([m for m in sys.modules if m.startswith(('monailabel', 'fastapi', 'torchvision'))])"
    )
    assert said == "[]"


def test_without_itk_images_are_written_all_the_same(tmp_path):
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "import numpy, SimpleITK\n"
        "from monailabel.transform.writer import write_itk\n"
        "affine = numpy.array([[0, -2.0, 0, 5], [0.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])\n"
        f"write_itk(numpy.arange(24).reshape(2, 3, 4), {str(tmp_path / 'a.nrrd')!r}, affine, 'uint8', True)\n"
        f"image = SimpleITK.ReadImage({str(tmp_path / 'a.nrrd')!r})\n"
        "print(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), image[1, 2, 3])"
    )
    assert said == "(2, 3, 4) (0.5, 2.0, 3.0) (-5.0, -6.0, 7.0) (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0) 23"


def test_without_mlflow_stock_trainings_do_not_ask_for_it():
    said = python(
        "from hepatic.adapters import compat; compat.install()\n"
        "from monailabel.config import settings; print(settings.MONAI_LABEL_TRACKING_ENABLED)"
    )
    assert said == "False"
