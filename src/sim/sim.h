/* The provider simulator as a command: `weir sim`. It uses layers 0 to 2 only: sharing the dialects' code would share
 * their mistakes. See docs/guides/simulator.md for its faults and control endpoints. */
#ifndef WEIR_SIM_SIM_H
#define WEIR_SIM_SIM_H

/* argv[0] is "sim". Runs until SIGTERM or SIGINT, or until its parent dies where --with-parent is given. Prints
 * "listening on http://ADDR" once it accepts. Returns the exit code: 0, 1 (cannot listen), 2 (usage). */
int weir_sim_main(int argc, char **argv);

#endif
