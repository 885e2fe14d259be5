/* The commands: each gets its words (argv[0] is its own) and returns the exit code. */
#ifndef WEIR_MAIN_COMMANDS_H
#define WEIR_MAIN_COMMANDS_H

int main__serve(int argc, char **argv);
int main__budget(int argc, char **argv);
int main__limit(int argc, char **argv);
int main__key(int argc, char **argv);
int main__operator(int argc, char **argv);
int main__billing(int argc, char **argv);
int main__ledger(int argc, char **argv);
int main__receipts(int argc, char **argv);
int main__requests(int argc, char **argv);
int main__audit(int argc, char **argv);
int main__config(int argc, char **argv);
int main__prices(int argc, char **argv);
int main__import(int argc, char **argv);
int main__metrics(int argc, char **argv);
int main__secrets(int argc, char **argv);
int main__backup(int argc, char **argv);
int main__restore(int argc, char **argv);
int main__usage(int argc, char **argv);
int main__reconcile(int argc, char **argv);
int main__store(int argc, char **argv);

#endif
