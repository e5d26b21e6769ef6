/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: the C interfaces that kernel::bindings lacks, and names
 * for constants that are macros with casts, which bindgen cannot see.
 */
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/crc-t10dif.h>
#include <linux/crc64.h>
#include <linux/device-mapper.h>
#include <linux/falloc.h>
#include <linux/fileattr.h>
#include <linux/fs_context.h>
#include <linux/mpage.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/stable_pages.h>

#include "below.h"
#include "fs.h"
#include "helpers.h"
#include "mm.h"

static const gfp_t SP_GFP_NOIO = GFP_NOIO;
/*
 * What may fail leaves the kernel's last pages alone, also where memory is being
 * reclaimed (PF_MEMALLOC): there is a pool to turn to.
 */
static const gfp_t SP_GFP_NOIO_TRY = GFP_NOIO | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN;
static const gfp_t SP_GFP_NOWAIT_TRY = GFP_NOWAIT | __GFP_NOMEMALLOC | __GFP_NOWARN;

static const u32 SP_REQ_OP_MASK = (__force u32)REQ_OP_MASK;
static const u32 SP_REQ_INTEGRITY = (__force u32)REQ_INTEGRITY;
static const u32 SP_REQ_ALLOC_CACHE = (__force u32)REQ_ALLOC_CACHE;
static const u32 SP_REQ_NOMERGE = (__force u32)REQ_NOMERGE;
static const u32 SP_REQ_POLLED = (__force u32)REQ_POLLED;
static const u32 SP_REQ_NOWAIT = (__force u32)REQ_NOWAIT;
static const u32 SP_REQ_RAHEAD = (__force u32)REQ_RAHEAD;
static const u32 SP_REQ_ATOMIC = (__force u32)REQ_ATOMIC;

static const u32 SP_BLK_FEAT_STABLE_WRITES = (__force u32)BLK_FEAT_STABLE_WRITES;
static const u32 SP_BLK_FEAT_POLL = (__force u32)BLK_FEAT_POLL;

static const u8 SP_BLK_STS_OK = (__force u8)BLK_STS_OK;
static const u8 SP_BLK_STS_IOERR = (__force u8)BLK_STS_IOERR;
static const u8 SP_BLK_STS_PROTECTION = (__force u8)BLK_STS_PROTECTION;
static const u8 SP_BLK_STS_NOTSUPP = (__force u8)BLK_STS_NOTSUPP;
static const u8 SP_BLK_STS_AGAIN = (__force u8)BLK_STS_AGAIN;

static const u8 SP_BLK_INTEGRITY_DEVICE_CAPABLE = BLK_INTEGRITY_DEVICE_CAPABLE;
static const u8 SP_BLK_INTEGRITY_REF_TAG = BLK_INTEGRITY_REF_TAG;

static const u16 SP_BIP_CHECK_GUARD = BIP_CHECK_GUARD;
static const u16 SP_BIP_CHECK_REFTAG = BIP_CHECK_REFTAG;
static const u16 SP_BIP_CHECK_APPTAG = BIP_CHECK_APPTAG;
static const u16 SP_BIP_IP_CHECKSUM = BIP_IP_CHECKSUM;
static const u16 SP_BIP_DISK_NOCHECK = BIP_DISK_NOCHECK;

static const u64 SP_DM_TARGET_PASSES_INTEGRITY = DM_TARGET_PASSES_INTEGRITY;
static const u64 SP_DM_TARGET_ZONED_HM = DM_TARGET_ZONED_HM;
static const u64 SP_DM_TARGET_NOWAIT = DM_TARGET_NOWAIT;
static const u64 SP_DM_TARGET_ATOMIC_WRITES = DM_TARGET_ATOMIC_WRITES;

static const int SP_DM_MAPIO_SUBMITTED = DM_MAPIO_SUBMITTED;
static const int SP_DM_MAPIO_REMAPPED = DM_MAPIO_REMAPPED;
static const int SP_DM_ENDIO_DONE = DM_ENDIO_DONE;
static const int SP_DM_ENDIO_INCOMPLETE = DM_ENDIO_INCOMPLETE;

static const u32 SP_FMODE_READ = (__force u32)FMODE_READ;
static const u32 SP_FMODE_WRITE = (__force u32)FMODE_WRITE;
static const u32 SP_FOP_DONTCACHE = (__force u32)FOP_DONTCACHE;
static const u32 SP_IOCB_DIRECT = IOCB_DIRECT;
static const u32 SP_IOCB_NOWAIT = IOCB_NOWAIT;
static const u32 SP_IOCB_DONTCACHE = IOCB_DONTCACHE;
static const u32 SP_MAY_NOT_BLOCK = MAY_NOT_BLOCK;
static const u32 SP_O_ACCMODE = O_ACCMODE;
static const u32 SP_O_LARGEFILE = O_LARGEFILE;
static const u32 SP_O_NOATIME = O_NOATIME;
static const u32 SP_O_RDWR = O_RDWR;
static const u32 SP_STATX_MTIME = STATX_MTIME;
static const u32 SP_STATX_CTIME = STATX_CTIME;
static const u32 SP_LOOKUP_RCU = LOOKUP_RCU;
static const u32 SP_LOOKUP_FOLLOW = LOOKUP_FOLLOW;
static const u32 SP_LOOKUP_DIRECTORY = LOOKUP_DIRECTORY;
static const u32 SP_SEEK_DATA = SEEK_DATA;
static const u32 SP_SEEK_HOLE = SEEK_HOLE;
static const u32 SP_ITER_DEST = ITER_DEST;
static const u32 SP_ITER_SOURCE = ITER_SOURCE;
static const u32 SP_S_IMMUTABLE = S_IMMUTABLE;
static const u32 SP_S_IFMT = S_IFMT;
static const u32 SP_S_IFREG = S_IFREG;
static const u32 SP_S_IFDIR = S_IFDIR;
static const u32 SP_S_IFLNK = S_IFLNK;
static const u32 SP_ACL_TYPE_ACCESS = ACL_TYPE_ACCESS;
static const u32 SP_STATX_WRITE_ATOMIC = STATX_WRITE_ATOMIC;
static const u64 SP_STATX_ATTR_WRITE_ATOMIC = STATX_ATTR_WRITE_ATOMIC;
static const s64 SP_LLONG_MAX = LLONG_MAX;
static const u32 SP_FALLOC_FL_KEEP_SIZE = FALLOC_FL_KEEP_SIZE;
static const u32 SP_FALLOC_FL_PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE;
static const u32 SP_FALLOC_FL_ZERO_RANGE = FALLOC_FL_ZERO_RANGE;
static const u32 SP_FALLOC_FL_COLLAPSE_RANGE = FALLOC_FL_COLLAPSE_RANGE;
static const u32 SP_FALLOC_FL_INSERT_RANGE = FALLOC_FL_INSERT_RANGE;
static const u32 SP_FALLOC_FL_UNSHARE_RANGE = FALLOC_FL_UNSHARE_RANGE;
static const u32 SP_FALLOC_FL_WRITE_ZEROES = FALLOC_FL_WRITE_ZEROES;
