/* What every program that reads captures with libpcap pays before its own work begins: each packet, only counted. */
#include <pcap/pcap.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char error[PCAP_ERRBUF_SIZE];
    unsigned long long packets = 0, wire_bytes = 0;
    struct pcap_pkthdr *header;
    const unsigned char *frame;
    pcap_t *capture;
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: empty_loop CAPTURE\n");
        return 2;
    }
    capture = pcap_open_offline_with_tstamp_precision(argv[1], PCAP_TSTAMP_PRECISION_NANO, error);
    if (capture == NULL) {
        fprintf(stderr, "empty_loop: %s\n", error);
        return 1;
    }
    while ((status = pcap_next_ex(capture, &header, &frame)) == 1) {
        packets++;
        wire_bytes += header->len;
    }
    if (status != PCAP_ERROR_BREAK) {
        fprintf(stderr, "empty_loop: %s\n", pcap_geterr(capture));
        return 1;
    }
    pcap_close(capture);
    printf("%llu packets, %llu bytes\n", packets, wire_bytes);
    return 0;
}
