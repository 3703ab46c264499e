/* Ports: where packets enter and leave the engine, by a TUN or TAP descriptor with IFF_VNET_HDR, or in memory.
 *
 * Invariant: a port gives and takes whole packets with their virtio header in front, and never blocks; a packet that
 * the kernel refuses is counted where it should have arrived. (System calls are bare: glibc's are points of cancellation,
 * at 2 % of a busy lane's time.)
 */
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core.h"

#include "lateness.h"
#include "packet.h"

#define BATCH 64 /* packets that one port may bring in one turn */
#define LATE_S 1e-3

static void count_late(lane *l, double late_s)
{
    engine_lane_report *r = &l->report;
    int bucket = lateness_bucket(late_s);
    r->lateness[bucket]++;
    if (late_s > r->lateness_max_s) r->lateness_max_s = late_s;
    if (!bucket) return;
    r->lateness_sum_s += late_s;
    if (late_s < LATE_S) return;
    /* What made it late: the core that the lane did not get, captures, and for the rest the lane's own work. */
    double slept_s = r->slept_s - l->noted_slept_s;
    double kept_s = lane_now_s(l) - r->now_s - slept_s - (thread_cpu_s() - r->cpu_s);
    double scheduler_s = l->overslept_s + (kept_s > 0.0 ? kept_s : 0.0);
    if (scheduler_s > late_s) scheduler_s = late_s;
    double capture_s = l->capture_s < late_s - scheduler_s ? l->capture_s : late_s - scheduler_s;
    r->late_packets++;
    r->late_scheduler_s += scheduler_s;
    r->late_capture_s += capture_s;
    r->late_engine_s += late_s - scheduler_s - capture_s;
}

bool port_write(lane *l, int32_t port, int32_t end, uint32_t number)
{
    packet *q = pool_at(&l->pool, number);
    int fd = l->e->config.port[port].fd;
    if (q->dest != UNKNOWN) packet_set_hop_limit(q->data, q->bytes, q->hops);
    if (fd < 0) {
        list_append(&l->out, &l->pool, number);
        return true;
    }
    if (syscall(SYS_write, fd, q->data, q->bytes) < 0) return false; /* the interface is down, or it is no packet */
    double late_s = lane_now_s(l) - q->at_s, *cells = received_cells(l, end);
    cells[RECEIVED_LATE_SUM_S] += late_s;
    if (late_s > cells[RECEIVED_LATE_MAX_S]) cells[RECEIVED_LATE_MAX_S] = late_s;
    count_late(l, late_s);
    pool_give(&l->pool, number);
    return true;
}

/* ---- shared ports: one cell with all the nodes that moving links join to the node now ---- */

/* Whether this end of a moving link leaves the node in the step that plays. */
static bool leaves(lane *l, int32_t end, int32_t node, double now_s)
{
    holds h;
    bool backward = end % 2;
    if (!flag(l->e, end, END_MOVING) || l->e->sent_lane[end] != l->index) return false;
    if (!backward && l->e->config.end[end].sender != node) return false;
    schedule_at(l, backward ? end - 1 : end, now_s, &h);
    return backward ? h.peer == node : h.peer >= 0;
}

/* The end by which the satellite reaches a node directly; -1: it does not serve it. */
static int32_t end_towards(lane *l, int32_t node, int32_t far, double now_s)
{
    for (int32_t end = 1; end < l->e->config.ends; end += 2)
        if (l->e->config.end[end].far == far && leaves(l, end, node, now_s)) return end;
    return -1;
}

/* The node that has this address among those that moving links belong to; -1: none. */
static int32_t owner_of(const engine_config *c, const uint8_t *address, int family)
{
    for (int32_t end = 1; end < c->ends; end += 2) {
        size_t far = (size_t)c->end[end].far;
        if (!(c->end[end].flags & END_MOVING)) continue;
        if (!memcmp(address, family == 4 ? c->ipv4 + 4 * far : c->ipv6 + 16 * far, family == 4 ? 4 : 16)) return (int32_t)far;
    }
    return -1;
}

/* The node whose port has this hardware address, which tells the port's end (`port_mac` in emulator/fabric/build.py). */
static int32_t owner_of_mac(const engine_config *c, const uint8_t *mac)
{
    uint32_t end = get32(mac + 2) - 1;
    return mac[0] == 2 && mac[1] == 0 && end < (uint32_t)c->ends && end % 2 == 0 ? c->end[end].sender : -1;
}

/* A copy to each node in the cell. */
static void broadcast(lane *l, int32_t node, uint32_t number, double now_s)
{
    const packet *q = pool_at(&l->pool, number);
    for (int32_t end = 0; end < l->e->config.ends; end++) {
        uint32_t twin = leaves(l, end, node, now_s) ? pool_take(&l->pool, q->bytes) : NONE;
        if (twin == NONE) continue;
        packet *p = pool_at(&l->pool, twin);
        uint8_t *data = p->data;
        *p = *q;
        p->data = data;
        memcpy(data, q->data, q->bytes);
        sending_offer(l, end, twin, now_s);
    }
    pool_give(&l->pool, number);
}

/* A packet from a shared port, of a live satellite or of a station with several access links. Its end is found by its
 * destination: by hardware address on Ethernet, else by the routes, and where these know no way (`routing = "none"`)
 * among the nodes in the cell. */
static void route_from_port(lane *l, const engine_port *port, uint32_t number, double now_s)
{
    packet *q = pool_at(&l->pool, number);
    const uint8_t *mac = q->data + VIRTIO, *address;
    int32_t end = -1, node = port->node;
    bool group = false;
    int family;
    if (now_s >= l->rows.stop_s) routes_move(l, now_s);
    if (port->ethernet) {
        group = q->bytes >= VIRTIO + ETHERNET && mac[0] & 1;
        if (q->bytes >= VIRTIO + ETHERNET && !group) end = end_towards(l, node, owner_of_mac(&l->e->config, mac), now_s);
    } else if ((address = packet_destination(q->data, q->bytes, &family))) {
        group = address_is_group(address, family);
        if (!group) {
            q->dest = destination_of(l->e, q->data, q->bytes);
            q->hops = packet_hop_limit(q->data, q->bytes);
            end = route(l, q->dest, node);
            if (end < 0) end = end_towards(l, node, owner_of(&l->e->config, address, family), now_s);
        }
    }
    if (group) {
        broadcast(l, node, number, now_s);
    } else if (end >= 0 && l->e->sent_lane[end] == l->index) {
        sending_offer(l, end, number, now_s);
    } else {
        l->e->config.unrouted[node]++;
        pool_give(&l->pool, number);
    }
}

/* ---- ports that may have packets ---- */

void unread_add(lane *l, int32_t place)
{
    if (l->e->is_unread[place]) return;
    l->e->is_unread[place] = true;
    l->unread[(l->unread_first + l->unread_count++) % l->e->config.ports] = place;
}

int32_t unread_take(lane *l)
{
    int32_t place = l->unread[l->unread_first];
    l->unread_first = (l->unread_first + 1) % l->e->config.ports;
    l->unread_count--;
    l->e->is_unread[place] = false;
    return place;
}

/* Takes in what a port has, but for what is more than BATCH; whether there may be more. */
bool port_read(lane *l, int32_t place)
{
    const engine_port *port = &l->e->config.port[place];
    uint32_t small = pool_take(&l->pool, 1), large = pool_take(&l->pool, LARGE_BYTES);
    double now_s = lane_now_s(l);
    int count = 0;
    /* A read fills the small slot first; what goes on behind it is in its place in the large one already. */
    while (small != NONE && count < BATCH) {
        uint8_t *behind = large == NONE ? l->scratch : pool_at(&l->pool, large)->data;
        struct iovec parts[2] = {{pool_at(&l->pool, small)->data, SMALL_BYTES},
                                 {behind + SMALL_BYTES, LARGEST - SMALL_BYTES}};
        ssize_t got = syscall(SYS_readv, port->fd, parts, 2);
        if (got <= 0) break; /* none left, or the interface is down or gone */
        count++;
        if (got < (ssize_t)VIRTIO) continue;
        uint32_t number = small;
        if (got > (ssize_t)SMALL_BYTES) {
            if (large == NONE) {
                if (port->end >= 0) {
                    sent_cells(l->e, port->end)[SENT_PACKETS] += 1.0;
                    sent_cells(l->e, port->end)[SENT_DROP_OVERLOAD] += 1.0;
                }
                continue;
            }
            memcpy(behind, parts[0].iov_base, SMALL_BYTES);
            number = large;
            large = pool_take(&l->pool, LARGE_BYTES);
        } else {
            small = pool_take(&l->pool, 1);
        }
        packet *q = pool_at(&l->pool, number);
        q->bytes = (uint32_t)got;
        q->merged = q->data[1] != 0;
        q->size = q->merged ? packet_wire_size(q->data, q->bytes, port->ethernet ? VIRTIO + ETHERNET : VIRTIO)
                            : q->bytes - VIRTIO;
        q->dest = UNKNOWN;
        q->node = -1;
        q->hops = 0;
        if (port->end >= 0) sending_offer(l, port->end, number, now_s);
        else route_from_port(l, port, number, now_s);
    }
    if (small != NONE) pool_give(&l->pool, small);
    if (large != NONE) pool_give(&l->pool, large);
    return count == BATCH || small == NONE;
}
