#include "tools/rmt_test.h"

#include "farm.h"
#include "base/rmt_io.h"

int
farm_open(void **state)
{
    rmt_error_t error = {0};
    farm_t *farm = zmalloc(sizeof *farm);
    RMT_OK(rmt_key_new(&farm->broker, &error));
    RMT_OK(rmt_key_new(&farm->own, &error));
    farm->zap = rmt_zap_new(&error);
    assert_non_null(farm->zap);
    rmt_zap_allow(farm->zap, "workers", farm->own.public_text);
    rmt_zap_allow(farm->zap, "console", farm->own.public_text);
    rmt_zap_allow(farm->zap, "events", farm->own.public_text);
    farm->workers = rmt_socket_new(RMT_SOCKET_BROKER_WORKERS, "tcp://127.0.0.1:*",
                                   &farm->broker, NULL, &error);
    farm->console = rmt_socket_new(RMT_SOCKET_BROKER_CONSOLE, "tcp://127.0.0.1:0",
                                   &farm->broker, NULL, &error);
    assert_non_null(farm->workers);
    assert_non_null(farm->console);
    *state = farm;
    return 0;
}

int
farm_close(void **state)
{
    farm_t *farm = *state;
    zsock_destroy(&farm->workers);
    zsock_destroy(&farm->console);
    rmt_zap_destroy(&farm->zap);
    free(farm);
    return 0;
}

char *
farm_address(zsock_t *socket)
{
    return rmt_text("127.0.0.1:%u", (unsigned) rmt_socket_port(socket));
}

int
farm_receive(zsock_t *socket, rmt_packet_t *packet, int wait_ms)
{
    rmt_error_t error = {0};
    zmq_pollitem_t item = {zsock_resolve(socket), 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, wait_ms);
    return rmt_socket_recv(socket, packet, &error);
}
