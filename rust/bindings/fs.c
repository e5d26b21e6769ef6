// SPDX-License-Identifier: GPL-2.0
/* Superblocks and mounts, for rust/fs. */

#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/errseq.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/statfs.h>
#include <linux/writeback.h>

#include "fs.h"

void sp_fs_context_init(struct fs_context *fc, const struct fs_context_operations *ops,
			void *private)
{
	fc->ops = ops;
	fc->fs_private = private;
}

struct super_block *sp_fs_context_super(struct fs_context *fc)
{
	return fc->root ? fc->root->d_sb : NULL;
}

void *sp_fs_context_private(struct fs_context *fc)
{
	return fc->fs_private;
}

void sp_fs_context_invalid(struct fs_context *fc, const char *message)
{
	errorf(fc, "%s", message);
}

const char *sp_fs_parameter_key(const struct fs_parameter *param)
{
	return param->key;
}

/* NULL where the parameter has no value, or one that is no string. */
const char *sp_fs_parameter_string(const struct fs_parameter *param)
{
	return param->type == fs_value_is_string ? param->string : NULL;
}

/*
 * What a filesystem has from the one that it is stacked on, and what the mount below does
 * not allow, no process is to do above. False if it would be too high, or is one of its kind.
 */
bool sp_super_inherit(struct super_block *sb, const struct path *path)
{
	struct super_block *lower = path->dentry->d_sb;
	struct vfsmount *mnt = path->mnt;

	sb->s_stack_depth = lower->s_stack_depth + 1;
	sb->s_maxbytes = min_t(loff_t, MAX_LFS_FILESIZE, lower->s_maxbytes);
	sb->s_time_gran = lower->s_time_gran;
	sb->s_time_min = lower->s_time_min;
	sb->s_time_max = lower->s_time_max;
	sb->s_flags |= lower->s_flags & (SB_POSIXACL | SB_RDONLY);
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	if (mnt->mnt_flags & MNT_NOEXEC || mnt->mnt_sb->s_iflags & SB_I_NOEXEC)
		sb->s_iflags |= SB_I_NOEXEC;
	if (mnt->mnt_flags & MNT_NODEV || mnt->mnt_sb->s_iflags & SB_I_NODEV)
		sb->s_iflags |= SB_I_NODEV;
	return sb->s_stack_depth <= FILESYSTEM_MAX_STACK_DEPTH && sb->s_type != lower->s_type;
}

void sp_kstatfs_set_type(struct kstatfs *buf, unsigned long magic)
{
	buf->f_type = magic;
}

void sp_show_option(struct seq_file *seq, const char *name, const char *value)
{
	seq_show_option(seq, name, value);
}

void sp_buffer_map(struct buffer_head *bh, struct super_block *sb, u64 block)
{
	map_bh(bh, sb, block);
}

/*
 * What was written back from @sb goes to the medium of @lower. What has failed there
 * since @seen is said to each who has @sb open and asks (syncfs(2)).
 */
int sp_super_sync(struct super_block *sb, struct super_block *lower, u32 *seen)
{
	errseq_t old = READ_ONCE(*seen), now = old;
	int error, failed;

	down_read(&lower->s_umount);
	error = sync_filesystem(lower);
	up_read(&lower->s_umount);
	failed = errseq_check_and_advance(&lower->s_wb_err, &now);
	/* Of several who come at once, one tells. */
	if (failed && cmpxchg(seen, old, now) == old)
		errseq_set(&sb->s_wb_err, failed);
	return error;
}

u32 sp_super_error(struct super_block *sb)
{
	errseq_t seen = 0;

	/* So that what fails from now on is another error, even if it is the same. */
	errseq_check_and_advance(&sb->s_wb_err, &seen);
	return seen;
}

/*
 * What is dirty goes down while the superblock is not read-only yet: the flusher does
 * not write it then. The error of what cannot be written, which is still dirty.
 */
int sp_super_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	errseq_t seen;
	int error;

	if (!(fc->sb_flags & fc->sb_flags_mask & SB_RDONLY) || sb_rdonly(sb))
		return 0;
	seen = sp_super_error(sb);
	error = sync_filesystem(sb);
	if (fc->sb_flags & SB_FORCE)
		return 0;
	return error ?: errseq_check(&sb->s_wb_err, seen);
}

/* The same for a superblock that goes, and is read-only, so that others leave it out. */
void sp_super_write_back(struct super_block *sb)
{
	if (sb->s_root && sb_rdonly(sb))
		sync_inodes_sb(sb);
}

/*
 * Whether @file is being opened to be run, and would give rights that it does not give
 * below, where the mount says nosuid: a superblock cannot say that to all of its mounts.
 */
bool sp_exec_is_refused(const struct file *file, const struct path *lower)
{
	struct dentry *dentry = lower->dentry;

	if (!(file->f_flags & __FMODE_EXEC) || !(lower->mnt->mnt_flags & MNT_NOSUID) ||
	    file->f_path.mnt->mnt_flags & MNT_NOSUID)
		return false;
	return d_inode(dentry)->i_mode & (S_ISUID | S_ISGID) ||
	       __vfs_getxattr(dentry, d_inode(dentry), XATTR_NAME_CAPS, NULL, 0) > 0;
}

/* Owners and permissions are there what they are on the filesystem itself. */
bool sp_path_is_plain(const struct path *path)
{
	return !is_idmapped_mnt(path->mnt);
}
