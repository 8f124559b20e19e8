/* null_loop.c - what bench.py measures against: libpcap reads the file, and nothing is done. */
#include <pcap/pcap.h>
#include <stdio.h>

static void nothing(u_char *user, const struct pcap_pkthdr *header, const u_char *bytes) {
    (void)user, (void)header, (void)bytes;
}

int main(int argc, char **argv) {
    char error[PCAP_ERRBUF_SIZE] = "usage: null_loop FILE";
    pcap_t *pcap = argc == 2 ? pcap_open_offline(argv[1], error) : NULL;
    if (!pcap) {
        fprintf(stderr, "null_loop: %s\n", error);
        return 2;
    }
    int status = pcap_loop(pcap, -1, nothing, NULL);
    if (status < 0)
        fprintf(stderr, "null_loop: %s\n", pcap_geterr(pcap));
    pcap_close(pcap);
    return status < 0 ? 2 : 0;
}
