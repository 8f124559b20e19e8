/* sieve.c - libpcap compiles, once for each link type that comes by, and looks. */
#include "capture/sieve.h"

#include <pcap/pcap.h>
#include <stdlib.h>

#include "capture/link_type.h"
#include "capture/source.h"

enum { MESHES = 8 };

struct sieve {
    const char *filter;
    size_t count;
    struct mesh {
        uint16_t link_type;
        struct bpf_program program;
    } meshes[MESHES];
};

static bool compile(const char *filter, struct mesh *mesh, struct err *err) {
    pcap_t *form = pcap_open_dead(dlt_of_link_type(mesh->link_type), SNAPLEN_WHOLE);
    if (!form)
        return err_no_memory(err);
    bool sound = pcap_compile(form, &mesh->program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
    if (!sound)
        err_set(err, FILTER_IS_WRONG, filter, pcap_geterr(form));
    pcap_close(form);
    return sound;
}

static struct mesh *mesh_for(struct sieve *sieve, uint16_t link_type, struct err *err) {
    for (size_t i = 0; i < sieve->count; i++)
        if (sieve->meshes[i].link_type == link_type)
            return &sieve->meshes[i];
    if (sieve->count == MESHES) { /* the last one makes room */
        sieve->count--;
        pcap_freecode(&sieve->meshes[sieve->count].program);
    }
    struct mesh *mesh = &sieve->meshes[sieve->count];
    mesh->link_type = link_type;
    if (!compile(sieve->filter, mesh, err))
        return NULL;
    sieve->count++;
    return mesh;
}

struct sieve *sieve_new(const char *filter, struct err *err) {
    struct sieve *sieve = calloc(1, sizeof *sieve);
    if (!sieve) {
        err_no_memory(err);
        return NULL;
    }
    sieve->filter = filter;
    if (mesh_for(sieve, LINKTYPE_ETHERNET, err))
        return sieve;
    free(sieve);
    return NULL;
}

bool sieve_expect(struct sieve *sieve, uint16_t link_type, struct err *err) {
    return mesh_for(sieve, link_type, err);
}

bool sieve_look(struct sieve *sieve, const struct packet *packet, bool *ret_passes,
                struct err *err) {
    const struct mesh *mesh = mesh_for(sieve, packet->link_type, err);
    const struct pcap_pkthdr header = {.caplen = (bpf_u_int32)packet->data.len,
                                       .len = packet->wire_len};
    if (!mesh)
        return false;
    *ret_passes = pcap_offline_filter(&mesh->program, &header, packet->data.data) != 0;
    return true;
}

void sieve_free(struct sieve *sieve) {
    for (size_t i = 0; sieve && i < sieve->count; i++)
        pcap_freecode(&sieve->meshes[i].program);
    free(sieve);
}
