def test_what_is_tried(interpret):
    interpret("tuning")
