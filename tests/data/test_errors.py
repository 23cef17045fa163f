from awlab.data.errors import DataError


def test_data_errors_are_value_errors():
    assert issubclass(DataError, ValueError)
