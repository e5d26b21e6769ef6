// SPDX-License-Identifier: GPL-2.0
/*
 * What is below a block device: which disks, what they show of protection
 * information now, and whether an error of theirs arrives as it was.
 *
 * Device mapper shows a live table to no other module, and which device holds
 * which is private to the block layer. But each disk has a folder "slaves" in
 * sysfs, with a link for each device that it is made of; a table adds its links
 * when it is loaded, before anything can be sent to its devices. The folder's
 * number of changes can be read at any time, so that what was found once is
 * known to be right still.
 */

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/ctype.h>
#include <linux/device-mapper.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/mount.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "below.h"

/* Disks that are followed. Where there are more, none of the errors counts. */
#define SP_DISKS 32

/**
 * struct sp_disk - a disk on the way down
 * @disk:	the disk; a reference to its device keeps it
 * @file:	keeps it open and its driver loaded; NULL for what has another opener,
 *		and for mapped devices, which must not be busy with this
 * @slaves:	its folder in sysfs, or NULL
 * @changes:	the number of changes of @slaves before it was read
 * @mapped:	it is a mapped device
 */
struct sp_disk {
	struct gendisk *disk;
	struct file *file;
	struct kernfs_node *slaves;
	unsigned long changes;
	bool mapped;
};

/**
 * struct sp_path - what was found below a device
 * @n:		how many disks
 * @known:	nothing but mapped devices and disks that reject by themselves
 * @disks:	the disks, that of the device first
 */
struct sp_path {
	unsigned int n;
	bool known;
	struct sp_disk disks[SP_DISKS];
};

/**
 * struct sp_below - what is below a device
 * @bdev:	the device, which its owner keeps open
 * @defers:	a mapped device that takes bios: they wait in it while it is
 *		suspended
 * @path:	what was found
 * @work:	looks again
 */
struct sp_below {
	struct block_device *bdev;
	bool defers;
	struct sp_path __rcu *path;
	struct work_struct work;
};

/* What tells profiles apart, in one number; 0 without one. */
static u64 sp_profile(struct gendisk *disk)
{
	const struct blk_integrity *bi = &disk->queue->limits.integrity;
	u64 size = READ_ONCE(bi->metadata_size);

	if (!size)
		return 0;
	return size | (u64)READ_ONCE(bi->csum_type) << 8 |
		(u64)READ_ONCE(bi->pi_offset) << 16 |
		(u64)READ_ONCE(bi->interval_exp) << 24 |
		(u64)READ_ONCE(bi->pi_tuple_size) << 32 |
		(u64)(READ_ONCE(bi->flags) & BLK_INTEGRITY_REF_TAG) << 40;
}

u64 sp_bdev_profile(struct block_device *bdev)
{
	return sp_profile(bdev->bd_disk);
}

/* Whether the device says that it checks the guard itself, now. */
bool sp_bdev_profile_checks(struct block_device *bdev)
{
	const struct blk_integrity *bi = &bdev->bd_disk->queue->limits.integrity;

	return READ_ONCE(bi->flags) & BLK_INTEGRITY_DEVICE_CAPABLE;
}

static bool sp_is_mapped(dev_t dev)
{
	struct mapped_device *md = dm_get_md(dev);

	if (md)
		dm_put(md);
	return md;
}

/*
 * Whether a write that a disk of this name rejects fails, and nothing else happens:
 * those of SCSI and of NVMe, with its own multipath, too.
 */
static bool sp_is_leaf(const char *name)
{
	if (str_has_prefix(name, "nvme"))
		return true;
	if (!str_has_prefix(name, "sd"))
		return false;
	for (name += 2; islower(*name); name++)
		;
	/* A partition has a number. */
	for (; isdigit(*name); name++)
		;
	return !*name;
}

static void sp_path_free(struct sp_path *path)
{
	unsigned int i;

	if (!path)
		return;
	for (i = 0; i < path->n; i++) {
		kernfs_put(path->disks[i].slaves);
		put_device(disk_to_dev(path->disks[i].disk));
		if (path->disks[i].file)
			bdev_fput(path->disks[i].file);
	}
	kfree(path);
}

/* Takes @file over. */
static bool sp_path_add(struct sp_path *path, struct gendisk *disk, struct file *file)
{
	struct sp_disk *next = &path->disks[path->n];
	unsigned int i;
	bool room = true;

	for (i = 0; i < path->n; i++)
		if (path->disks[i].disk == disk)
			goto put;
	room = path->n < SP_DISKS;
	if (!room)
		goto put;
	get_device(disk_to_dev(disk));
	next->disk = disk;
	next->mapped = sp_is_mapped(disk_devt(disk));
	path->n++;
	if (!next->mapped) {
		next->file = file;
		return true;
	}
put:
	if (file)
		bdev_fput(file);
	return room;
}

/**
 * struct sp_slaves - the names in a folder
 * @ctx:	what the names are handed to
 * @n:		how many
 * @names:	as in sysfs
 * @all:	these are all
 */
struct sp_slaves {
	struct dir_context ctx;
	unsigned int n;
	char names[SP_DISKS][BDEVNAME_SIZE + DISK_NAME_LEN];
	bool all;
};

static bool sp_slaves_take(struct dir_context *ctx, const char *name, int len,
			   loff_t offset, u64 ino, unsigned int type)
{
	struct sp_slaves *slaves = container_of(ctx, struct sp_slaves, ctx);

	if (name[0] == '.')
		return true;
	if (slaves->n == SP_DISKS || len >= sizeof(slaves->names[0])) {
		slaves->all = false;
		return false;
	}
	memcpy(slaves->names[slaves->n], name, len);
	slaves->names[slaves->n++][len] = 0;
	return true;
}

static struct file *sp_slave_open(struct vfsmount *sysfs, dev_t dev, const char *name)
{
	char buf[64 + DISK_NAME_LEN + BDEVNAME_SIZE];
	unsigned int major, minor;
	struct file *file;
	loff_t pos = 0;
	ssize_t len;

	/* From the root, since no link leads out of where a lookup starts. */
	snprintf(buf, sizeof(buf), "dev/block/%u:%u/slaves/%s/dev", MAJOR(dev), MINOR(dev), name);
	file = file_open_root_mnt(sysfs, buf, O_RDONLY, 0);
	if (IS_ERR(file))
		return file;
	len = kernel_read(file, buf, sizeof(buf) - 1, &pos);
	fput(file);
	if (len < 0)
		return ERR_PTR(len);
	buf[len] = 0;
	if (sscanf(buf, "%u:%u", &major, &minor) != 2)
		return ERR_PTR(-EINVAL);
	return bdev_file_open_by_dev(MKDEV(major, minor), BLK_OPEN_READ | BLK_OPEN_NDELAY,
				     NULL, NULL);
}

/*
 * The disk of slave @name of @dev onto the path. A path of a multipath device that
 * cannot be opened is a disk all the same.
 */
static bool sp_slave_add(struct sp_path *path, struct vfsmount *sysfs, dev_t dev,
			 const char *name)
{
	struct file *file = sp_slave_open(sysfs, dev, name);

	if (IS_ERR(file))
		return sp_is_leaf(name);
	return sp_path_add(path, file_bdev(file)->bd_disk, file);
}

/* What disk @i of the path is made of, onto the path. */
static bool sp_slaves_add(struct sp_path *path, unsigned int i, struct vfsmount *sysfs)
{
	dev_t dev = disk_devt(path->disks[i].disk);
	struct sp_slaves *slaves;
	struct file *folder;
	char buf[64];
	bool all;

	snprintf(buf, sizeof(buf), "dev/block/%u:%u/slaves", MAJOR(dev), MINOR(dev));
	folder = file_open_root_mnt(sysfs, buf, O_RDONLY | O_DIRECTORY, 0);
	/* One that cannot be made of others has no such folder. */
	if (IS_ERR(folder))
		return PTR_ERR(folder) == -ENOENT && !path->disks[i].mapped;
	slaves = kzalloc(sizeof(*slaves), GFP_KERNEL);
	if (!slaves) {
		fput(folder);
		return false;
	}

	path->disks[i].slaves = file_inode(folder)->i_private;
	kernfs_get(path->disks[i].slaves);
	path->disks[i].changes = READ_ONCE(path->disks[i].slaves->dir.rev);
	smp_rmb();

	slaves->ctx.actor = sp_slaves_take;
	slaves->ctx.count = INT_MAX;
	slaves->all = true;
	all = !iterate_dir(folder, &slaves->ctx) && slaves->all;
	while (all && slaves->n)
		all = sp_slave_add(path, sysfs, dev, slaves->names[--slaves->n]);
	kfree(slaves);
	fput(folder);
	return all;
}

static struct sp_path *sp_path_find(struct block_device *bdev)
{
	struct file_system_type *type;
	struct vfsmount *sysfs;
	struct sp_path *path;
	unsigned int i;

	path = kzalloc(sizeof(*path), GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	sp_path_add(path, bdev->bd_disk, NULL);

	/* It is built in, so that there is no module to put. */
	type = get_fs_type("sysfs");
	if (!type)
		return path;
	sysfs = kern_mount(type);
	if (IS_ERR(sysfs))
		return path;
	path->known = true;
	for (i = 0; i < path->n; i++) {
		if (!sp_slaves_add(path, i, sysfs))
			path->known = false;
		if (!path->disks[i].mapped && !sp_is_leaf(path->disks[i].disk->disk_name))
			path->known = false;
	}
	kern_unmount(sysfs);
	return path;
}

static void sp_below_look(struct work_struct *work)
{
	struct sp_below *below = container_of(work, struct sp_below, work);
	struct sp_path *path = sp_path_find(below->bdev);

	/* Without memory what was found before stays, and is known to be old. */
	if (IS_ERR(path))
		return;
	path = rcu_replace_pointer(below->path, path, true);
	synchronize_rcu();
	sp_path_free(path);
}

/*
 * Sleeps. @bdev has to stay open until sp_below_free(), which must not race with
 * any other call.
 */
struct sp_below *sp_below_new(struct block_device *bdev)
{
	struct sp_below *below = kzalloc(sizeof(*below), GFP_KERNEL);
	struct sp_path *path;

	if (!below)
		return NULL;
	path = sp_path_find(bdev);
	if (IS_ERR(path)) {
		kfree(below);
		return NULL;
	}
	below->bdev = bdev;
	below->defers = path->disks[0].mapped && bdev_test_flag(bdev, BD_HAS_SUBMIT_BIO);
	rcu_assign_pointer(below->path, path);
	INIT_WORK(&below->work, sp_below_look);
	return below;
}

void sp_below_free(struct sp_below *below)
{
	cancel_work_sync(&below->work);
	sp_path_free(rcu_dereference_protected(below->path, true));
	kfree(below);
}

/* Whether bios wait in the device while it is suspended. */
bool sp_below_defers(const struct sp_below *below)
{
	return below->defers;
}

/* Whether what the disk is made of has changed since it was looked at. */
static bool sp_is_old(const struct sp_disk *disk)
{
	return disk->slaves && READ_ONCE(disk->slaves->dir.rev) != disk->changes;
}

/*
 * What is below now, as SP_BELOW_ flags. Any context.
 *
 * SP_BELOW_SHOWS: all disks show @profile. A mapped device trusts that a bio with a
 * payload has come while it showed a profile, and is asked not to keep such a bio
 * waiting, see sp_payload_hurry(). That must not arrive at a driver that draws
 * conclusions from its failure, as md does. So a mapped device over what is not known
 * shows nothing.
 *
 * SP_BELOW_PASSES: an error of a disk arrives as it was, with no driver in between
 * that acts on it. What has changed below counts as unknown until it has been looked
 * at, which this leaves to a worker. Mapped devices are known by their profile: only
 * targets that hand bios on as they are let it through (DM_TARGET_PASSES_INTEGRITY).
 */
unsigned int sp_below_now(struct sp_below *below, u64 profile)
{
	bool shows, passes, old = false;
	struct sp_path *path;
	unsigned int i;

	rcu_read_lock();
	path = rcu_dereference(below->path);
	passes = path->known;
	shows = passes || !below->defers;
	for (i = 0; i < path->n; i++) {
		const struct sp_disk *disk = &path->disks[i];
		u64 its = sp_profile(disk->disk);

		if (sp_is_old(disk))
			old = true;
		if (disk->mapped && !its)
			passes = false;
		if (its != profile)
			shows = false;
	}
	rcu_read_unlock();
	if (old)
		schedule_work(&below->work);
	return (shows ? SP_BELOW_SHOWS : 0) | (passes && !old ? SP_BELOW_PASSES : 0);
}

/* As bio_queue_enter() has it, which does not wait for a disk that is gone. */
static bool sp_is_frozen(struct gendisk *disk)
{
	struct request_queue *q = disk->queue;

	return percpu_ref_is_dying(&q->q_usage_counter) && !blk_queue_dying(q) &&
		!test_bit(GD_DEAD, &disk->state);
}

/*
 * Whether all disks below show @profile, as sp_below_now() has it, which it takes the place
 * of. Sleeps while one of their queues is frozen: its profile may be another one when it is
 * not any more.
 */
bool sp_below_shows_thawed(struct sp_below *below, u64 profile)
{
	struct gendisk *frozen;
	struct sp_path *path;
	bool shows, old;
	unsigned int i;

	do {
		frozen = NULL;
		old = false;
		rcu_read_lock();
		path = rcu_dereference(below->path);
		shows = path->known || !below->defers;
		for (i = 0; i < path->n && !frozen; i++) {
			struct gendisk *disk = path->disks[i].disk;

			if (sp_is_old(&path->disks[i]))
				old = true;
			if (sp_is_frozen(disk)) {
				get_device(disk_to_dev(disk));
				frozen = disk;
			} else if (sp_profile(disk) != profile) {
				shows = false;
			}
		}
		rcu_read_unlock();
		if (old)
			schedule_work(&below->work);
		if (frozen) {
			wait_event(frozen->queue->mq_freeze_wq, !sp_is_frozen(frozen));
			put_device(disk_to_dev(frozen));
		}
	} while (frozen);
	return shows;
}
