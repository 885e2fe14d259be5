/* See simulator.h. The child is this same program; it ends with its parent. */
#include "main/simulator.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Reads the child's one line, waiting at most five seconds. */
static enum weir_status read_line(int fd, char *line, size_t size) {
    size_t length = 0;
    while (length + 1 < size) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 5000) <= 0 || read(fd, &line[length], 1) != 1)
            return WEIR_ETIMEOUT;
        if (line[length] == '\n') {
            line[length] = '\0';
            return WEIR_OK;
        }
        length++;
    }
    return WEIR_EPROTO;
}

_Noreturn static void be_child(int out) {
    char program[] = "weir", command[] = "sim", listen[] = "--listen", address[] = "127.0.0.1:0",
         parent[] = "--with-parent", quiet[] = "--quiet";
    char *const arguments[] = {program, command, listen, address, parent, quiet, NULL};
    (void)setpgid(0, 0); /* Ctrl-C is for the gateway: it drains, and ends the simulator last */
    if (dup2(out, STDOUT_FILENO) >= 0)
        execve("/proc/self/exe", arguments, environ);
    _exit(127);
}

enum weir_status main__simulator_start(struct main__simulator *simulator, struct weir_error *error) {
    static const char prefix[] = "listening on ";
    int pipe_fds[2];
    char line[128];
    if (pipe(pipe_fds) != 0)
        return weir_fail(error, WEIR_EIO, "the simulator cannot be started: %s", strerror(errno));
    simulator->pid = fork();
    if (simulator->pid == 0)
        be_child(pipe_fds[1]);
    close(pipe_fds[1]);
    enum weir_status status = simulator->pid < 0 ? WEIR_EIO : read_line(pipe_fds[0], line, sizeof line);
    close(pipe_fds[0]);
    if (status == WEIR_OK && strncmp(line, prefix, sizeof prefix - 1) == 0) {
        (void)snprintf(simulator->base_url, sizeof simulator->base_url, "%.50s/v1", line + sizeof prefix - 1);
        return WEIR_OK;
    }
    main__simulator_stop(simulator);
    return weir_fail(error, WEIR_EIO, "the simulator did not start");
}

void main__simulator_stop(struct main__simulator *simulator) {
    if (simulator->pid <= 0)
        return;
    (void)kill(simulator->pid, SIGTERM);
    (void)waitpid(simulator->pid, NULL, 0);
    simulator->pid = 0;
}
