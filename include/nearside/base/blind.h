/*
 * The checks that keep memory coherent with Redis, each of which a build may
 * leave out (cmake -DNEARSIDE_BLIND=lease). Such a daemon serves what is out of
 * date. It is built for one purpose: the coherence oracle, tests/fault, has to
 * see that. In all other builds each of these is true.
 */
#ifndef NEARSIDE_BASE_BLIND_H
#define NEARSIDE_BASE_BLIND_H

/* An entry in memory is used only until the coherence lease of its node is
   over: while its link was heard, and it took what we write, less than the
   bound ago. */
#ifdef NEARSIDE_BLIND_lease
#define SEES_LEASE false
#else
#define SEES_LEASE true
#endif

/* An entry that was kept before its link was lost, or before its slot changed
   hands, is not used afterwards. */
#ifdef NEARSIDE_BLIND_epoch
#define SEES_EPOCH false
#else
#define SEES_EPOCH true
#endif

/* A value that was read before a change is not put into memory after it. */
#ifdef NEARSIDE_BLIND_dirty
#define SEES_DIRTY false
#else
#define SEES_DIRTY true
#endif

#endif
