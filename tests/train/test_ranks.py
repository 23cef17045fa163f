from awlab.train.ranks import Ranks


def test_alone():
    assert Ranks.told({}) is None


def test_torchrun():
    variables = {
        "RANK": "5",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "first.example",
        "MASTER_PORT": "29500",
    }
    ranks = Ranks.told(variables)
    assert ranks == Ranks(5, 1, 8, 4, "first.example", 29500)
    assert ranks is not None
    assert ranks.nodes == 2


SLURM = {
    "SLURM_JOB_ID": "41007",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "node[07-08]",
}


def test_srun():
    ranks = Ranks.told(SLURM)
    assert ranks == Ranks(3, 1, 4, 2, "node07", 21007)
    assert ranks is not None
    assert ranks.nodes == 2


def test_a_batch_script_is_no_rank():
    assert Ranks.told(SLURM | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert Ranks.told({"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) is None
