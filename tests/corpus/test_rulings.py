from corpus.rulings import Grid, Ruling, find_grids, trace_box


def test_boxes_drawn_cell_by_cell_make_one_grid() -> None:
    boxes = [(x, y, x + 100, y + 20) for x in (50, 150, 250) for y in (600, 620)]
    rulings = [ruling for box in boxes for ruling in trace_box(*box)]
    assert find_grids(rulings) == (Grid((50, 150, 250, 350), (600, 620, 640)),)


def test_a_point_is_in_the_cell_around_it() -> None:
    grid = Grid((50, 150, 250), (600, 620, 640))
    assert [grid.find_cell(*point) for point in ((60, 630), (160, 630), (60, 601), (250, 610), (40, 610))] == [
        (0, 0),
        (0, 1),
        (1, 0),
        None,
        None,
    ]


def test_a_thin_box_is_a_line_and_a_line_that_ends_midway_parts_no_rows() -> None:
    assert trace_box(50, 600, 350, 600.8) == (Ruling(True, 600.4, 50, 350),)
    across = [Ruling(True, y, 50, 350) for y in (600, 640)]
    down = [Ruling(False, x, 600, 640) for x in (50, 200, 350)]
    assert find_grids([*across, *down, Ruling(True, 620, 200, 350)]) == (Grid((50, 200, 350), (600, 640)),)


def test_a_frame_and_an_underline_are_no_table() -> None:
    assert find_grids([*trace_box(50, 600, 350, 700), Ruling(True, 400, 60, 120)]) == ()
