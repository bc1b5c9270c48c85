"""Walk-forward of the learner and of its peers on trades that rules made on real prices."""
