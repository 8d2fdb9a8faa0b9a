// SPDX-License-Identifier: MIT
// How lwIP is built: no system below it, the raw interface, TCP over IPv4, and bounds for
// everything. What others can make us keep comes out of pools that are large enough for all
// connections at their most, so that none can take what another needs; data that are sent or wait
// to be read are of the heap, whose limit is the process's.
#pragma once

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_RAW 0
#define LWIP_UDP 1
#define LWIP_DHCP 1
#define DHCP_DOES_ARP_CHECK 0 // it would take a second
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_NETIF_HOSTNAME 0
// -DLWIP_DNS=1: for what DHCP says of servers; to ask them is names.c's, and lwIP's dns.c not
// there.
#define DNS_MAX_SERVERS 2
#define LWIP_SINGLE_NETIF 1

// IPv6 is the builder's choice (-DLWIP_IPV6=1): addresses by router advertisements, no more than a
// host needs, and nothing of multicast but what that takes.
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_SCOPES 1
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 32
#define MEMP_NUM_ND6_QUEUE 32
#define LWIP_ND6_QUEUEING 1

#define MEM_LIBC_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEMP_MEM_MALLOC 0

// What a frame may be: no parts of datagrams are kept, in either direction.
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define LWIP_MULTICAST_PING 0
#define LWIP_BROADCAST_PING 0

#define ARP_TABLE_SIZE 32
#define ARP_QUEUEING 0 // one frame waits for an address
#define ETHARP_TRUST_IP_MAC 0

#define NET_CONNECTIONS 256
#define NET_BACKLOG 64 // connections that are being opened, of a listener
#define TCP_MSS 1460
#define TCP_WND (12 * TCP_MSS)
#define TCP_SND_BUF (12 * TCP_MSS)
#define TCP_SND_QUEUELEN 32
#define TCP_SNDLOWAT (2 * TCP_MSS)
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_PBUFS 8
#define TCP_LISTEN_BACKLOG 1
#define LWIP_TCP_KEEPALIVE 0
#define TCP_TMR_INTERVAL 250

// Where a connection's numbers begin is nobody's guess.
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port) net_random()

#define MEMP_NUM_TCP_PCB (NET_CONNECTIONS + 2 * NET_BACKLOG)
#define MEMP_NUM_TCP_PCB_LISTEN 16
#define MEMP_NUM_TCP_SEG (NET_CONNECTIONS * (TCP_SND_QUEUELEN + TCP_OOSEQ_MAX_PBUFS))
#define MEMP_NUM_UDP_PCB 136 // of 64 clients each two at most, and ours
#define MEMP_NUM_PBUF 64
#define PBUF_POOL_SIZE 16
#define LWIP_SUPPORT_CUSTOM_PBUF 1

// What frames of TCP are copied by sums them up, too (link.c), but not all that come.
#define LWIP_CHECKSUM_ON_COPY 0
#define CHECKSUM_GEN_TCP 0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
